"""mmups.FPN is mmdet's FPN, or FPN_CARAFE's pyramid, with another upsampler."""
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.necks import FPN as HostFPN
from mmdet.models.necks import FPN_CARAFE
from mmengine.registry import MODELS as ROOT

from mmups.models.det import FPN
from mmups.models.layers import HostResize, NoSite
from mmups.models.upsamplers import BaseUpsampler

CHANNELS = [8, 16, 24, 32]
BN = dict(type='BN')
EVEN, ODD = (32, 48), (37, 53)

# Every option of mmdet's FPN.
OPTIONS = {
    'plain': dict(num_outs=4),
    'max-pool': dict(num_outs=6),
    'start': dict(start_level=1, num_outs=3),
    'last-level-named': dict(end_level=3, num_outs=5),
    'end': dict(end_level=2, num_outs=3),
    'start-end': dict(start_level=1, end_level=2, num_outs=2),
    'extra-true': dict(start_level=1, num_outs=5, add_extra_convs=True),
    'extra-on-input': dict(start_level=1, num_outs=5, add_extra_convs='on_input'),
    'extra-on-lateral': dict(num_outs=6, add_extra_convs='on_lateral'),
    'extra-on-output': dict(num_outs=6, add_extra_convs='on_output'),
    'extra-relu': dict(num_outs=7, add_extra_convs='on_output', relu_before_extra_convs=True),
    'extra-unneeded': dict(num_outs=4, add_extra_convs='on_output'),
    'norm-act': dict(num_outs=5, norm_cfg=BN, act_cfg=dict(type='ReLU')),
    'no-norm-on-lateral': dict(num_outs=5, norm_cfg=BN, no_norm_on_lateral=True),
    'extra-norm-act': dict(num_outs=6, add_extra_convs='on_input', norm_cfg=BN,
                           act_cfg=dict(type='ReLU')),
    'conv': dict(num_outs=5, conv_cfg=dict(type='ConvWS')),
    'init': dict(num_outs=5, init_cfg=None),
}


def build(host, **kwargs):
    neck = host(in_channels=CHANNELS, out_channels=16, **kwargs)
    neck.init_weights()
    return neck


def assert_parity(ours, host, inputs):
    """Same keys in the same order, state dicts that load both ways, and the same numbers."""
    assert list(ours.state_dict()) == list(host.state_dict())
    for source, target in ((ours, host), (host, ours)):
        for parameter in source.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        target.load_state_dict(source.state_dict())
        outs, expected = ours(inputs), host(inputs)
        assert len(outs) == len(expected)
        assert all(map(torch.equal, outs, expected))


@pytest.fixture
def pair():
    """``pair(host class, host's arguments, ours)``: both necks."""
    def make(host, kwargs, ours=None):
        return build(FPN, **(kwargs if ours is None else ours)), build(host, **kwargs)
    return make


@pytest.mark.parametrize('size', [EVEN, ODD], ids=['even', 'odd'])
@pytest.mark.parametrize('mode', [None, 'nearest', 'bilinear'])
@pytest.mark.parametrize('kwargs', OPTIONS.values(), ids=OPTIONS)
def test_parity(pair, pyramid, kwargs, mode, size):
    """Without an upsampler, and with the two interpolations as ``upsampler``."""
    host = dict(kwargs, **({} if mode is None else dict(upsample_cfg=dict(mode=mode))))
    ours = dict(kwargs, **({} if mode is None else dict(upsampler=dict(mode=mode))))
    assert_parity(*pair(HostFPN, host, ours), pyramid(size))


@pytest.mark.parametrize('extra', [False, True])
def test_one_level(pair, pyramid, extra):
    """It works as in mmdet, and has no use for an upsampler."""
    kwargs = dict(start_level=2, end_level=2, num_outs=1)
    assert_parity(*pair(HostFPN, kwargs, dict(kwargs, top_down_extra_levels=extra)), pyramid(EVEN))
    with pytest.raises(NoSite, match='start_level=2, end_level=2 has no upsampling step'):
        FPN(CHANNELS, 16, **kwargs, upsampler=dict(type='DySample'))


@pytest.mark.parametrize('rounding', ['up', 'down'])
@pytest.mark.parametrize('upsample_cfg', [
    dict(mode='nearest', align_corners=None), dict(mode='nearest-exact'), dict(mode='area'),
    dict(mode='bilinear'), dict(mode='bilinear', align_corners=True),
    dict(mode='bicubic', align_corners=False)], ids=str)
def test_upsample_cfg_parity(pair, pyramid, upsample_cfg, rounding):
    """mmdet's own key means the same here."""
    kwargs = dict(num_outs=5, upsample_cfg=upsample_cfg)
    assert_parity(*pair(HostFPN, kwargs), pyramid(ODD, rounding=rounding))


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
def test_scale_factor_parity(pair, pyramid, mode):
    """mmdet's fixed scale needs even sizes; here it does not hinder odd ones."""
    ours, host = pair(HostFPN, dict(num_outs=5, upsample_cfg=dict(mode=mode, scale_factor=2)))
    assert_parity(ours, host, pyramid(EVEN))
    with pytest.raises(RuntimeError):
        host(pyramid(ODD))
    assert ours(pyramid(ODD))[0].shape[2:] == ODD


@pytest.mark.parametrize('upsample_cfg', [
    dict(), dict(scale_factor=2), dict(scale_factor=(2, 2)), dict(scale_factor=(2, 2.0)),
    dict(scale_factor=2, recompute_scale_factor=True), dict(mode='bilinear', antialias=True),
    dict(mode='bicubic', align_corners=True), dict(mode='area'), dict(mode='nearest-exact'),
    dict(scale_factor=2, mode='bilinear', align_corners=True, antialias=False),
    dict(scale_factor=2.0, mode='bicubic', antialias=True, recompute_scale_factor=True)], ids=str)
@pytest.mark.parametrize('extra', [dict(num_outs=4), dict(start_level=1, num_outs=4)], ids=str)
def test_every_upsample_cfg_means_the_same(pair, pyramid, upsample_cfg, extra):
    """Whatever ``F.interpolate`` takes, with its defaults."""
    ours, host = pair(HostFPN, dict(extra, upsample_cfg=upsample_cfg))
    assert_parity(ours, host, pyramid(EVEN))
    if 'scale_factor' not in upsample_cfg:
        assert_parity(ours, host, pyramid(ODD))


def test_factor_of_the_host():
    """mmdet takes maps that are x4 apart with ``scale_factor=4``."""
    kwargs = dict(num_outs=4, upsample_cfg=dict(mode='bilinear', scale_factor=4))
    maps = [torch.randn(2, c, 64 // 4**i, 128 // 4**i) for i, c in enumerate(CHANNELS)]
    assert_parity(build(FPN, **kwargs), build(HostFPN, **kwargs), maps)


@pytest.mark.parametrize('upsample_cfg', [
    dict(type='dysample', dysample_cfg=dict(groups=4)), dict(mode='nearest', groups=4)], ids=str)
@pytest.mark.parametrize('name', ['mmdet.FPN', 'mmseg.FPN'])
def test_an_upsampler_is_no_way_of_resizing(name, upsample_cfg):
    slot = {'mmdet.FPN': 'mmups.FPN', 'mmseg.FPN': 'mmups.SegFPN'}[name]
    cfg = dict(in_channels=CHANNELS, out_channels=8, num_outs=4, upsample_cfg=upsample_cfg)
    ROOT.build(dict(cfg, type=name))  # which stops in its first forward pass
    with pytest.raises(ValueError, match=r"does not take \['.*upsampler=dict\(type='DySample'"):
        ROOT.build(dict(cfg, type=slot))


def test_host_dialect_without_a_mode():
    """In ``upsampler``, too, it is what the hosts' ``F.interpolate`` does by default."""
    ours = build(FPN, num_outs=4, upsampler=dict(scale_factor=2))
    assert [m.mode for m in ours.upsample_modules] == ['nearest'] * 3
    assert build(FPN, num_outs=4, upsampler=dict(type='Interpolate')).upsample_modules[0].mode == (
        'bilinear')


def test_positional_arguments(pyramid):
    """mmdet's, all of them."""
    args = ([8, 16, 24, 32], 8, 5, 1, -1, 'on_output', True, True, None, BN, dict(type='ReLU'),
            dict(mode='bilinear'), None)
    assert_parity(FPN(*args), HostFPN(*args), pyramid(EVEN))
    swapped = FPN(*args, upsampler=dict(type='DySample'), top_down_extra_levels=False)
    assert [m.in_channels for m in swapped.upsample_modules] == [8, 8]


P6_OPTIONS = {
    'p6': dict(num_outs=5),
    'p7': dict(num_outs=6),
    'p8': dict(num_outs=7),
    'start': dict(start_level=1, num_outs=5),
    'end': dict(end_level=2, num_outs=3),
    'no-extra': dict(num_outs=4),
    'norm-act': dict(num_outs=6, norm_cfg=BN, act_cfg=dict(type='ReLU')),
}


class Twice(BaseUpsampler):
    """x2, then cropped, which is how FPN_CARAFE treats odd sizes."""

    def upsample(self, x, guide):
        return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


@pytest.mark.parametrize('kwargs', P6_OPTIONS.values(), ids=P6_OPTIONS)
@pytest.mark.parametrize('mode, upsampler, size', [
    ('nearest', dict(mode='nearest'), (64, 128)),
    ('nearest', dict(mode='nearest'), ODD),
    ('bilinear', dict(mode='bilinear'), (64, 128)),
    ('bilinear', dict(type=Twice), ODD)], ids=['nearest', 'nearest-odd', 'bilinear', 'crop-odd'])
def test_extra_levels_parity(pair, pyramid, kwargs, mode, upsampler, size):
    """``top_down_extra_levels`` is the pyramid of mmdet's FPN_CARAFE."""
    ours, host = pair(FPN_CARAFE, dict(kwargs, upsample_cfg=dict(type=mode)),
                      dict(kwargs, upsampler=upsampler, top_down_extra_levels=True))
    levels = len(host.lateral_convs)
    assert len(ours.lateral_convs) == levels
    assert len(ours.upsample_modules) == len(host.upsample_modules) == levels - 1
    assert_parity(ours, host, pyramid(size))


def test_extra_laterals_follow_the_options():
    """``no_norm_on_lateral`` counts for them too, and they start as mmdet's convolutions do."""
    neck = build(FPN, num_outs=6, norm_cfg=BN, no_norm_on_lateral=True, top_down_extra_levels=True)
    assert [conv.with_norm for conv in neck.lateral_convs] == [False] * 6
    assert [conv.with_norm for conv in neck.fpn_convs] == [True] * 6
    weight = neck.lateral_convs[5].conv.weight  # Xavier uniform, 9 taps, 16 to 16 channels
    assert weight.std().item() == pytest.approx((2 / (9 * 32))**0.5, rel=0.1)
    assert not neck.lateral_convs[5].conv.bias.any()


def test_extra_levels_exclude_extra_convs():
    with pytest.raises(ValueError, match="add_extra_convs=False, got 'on_input'"):
        FPN(CHANNELS, 16, 5, add_extra_convs=True, top_down_extra_levels=True)


@pytest.mark.parametrize('extra', [False, True])
def test_number_of_inputs(pyramid, extra):
    """One map too few would otherwise pass for the input of the extra levels."""
    neck = FPN([8, 8, 8, 8], 16, 5, top_down_extra_levels=extra)
    for count in (3, 5):
        with pytest.raises(ValueError, match=f'built for 4 maps, got {count}'):
            neck(pyramid(EVEN, channels=[8] * count))


@pytest.mark.parametrize('kwargs, count', [
    (dict(num_outs=5), 3), (dict(num_outs=5, start_level=1, add_extra_convs=True), 2),
    (dict(num_outs=5, top_down_extra_levels=True), 4)])
def test_stock_checkpoint_loads(kwargs, count):
    """A stock checkpoint lacks the upsamplers' weights and nothing else, and the way back only
    has them too many."""
    neck = build(FPN, upsampler=dict(type='DySample'), **kwargs)
    extra = kwargs.pop('top_down_extra_levels', False)
    host = build(FPN_CARAFE, upsample_cfg=dict(type='nearest'), **kwargs) if extra else build(
        HostFPN, **kwargs)
    expected = {f'upsample_modules.{i}.{key}' for i in range(count)
                for key in ('offset.weight', 'offset.bias', 'init_pos')}
    missing, unexpected = neck.load_state_dict(host.state_dict(), strict=False)
    assert (set(missing), unexpected) == (expected, [])
    missing, unexpected = host.load_state_dict(neck.state_dict(), strict=False)
    assert (missing, set(unexpected)) == ([], expected)


def test_default_is_the_hosts_nearest():
    neck = ROOT.build(dict(type='mmups.FPN', in_channels=CHANNELS, out_channels=16, num_outs=5))
    assert type(neck) is FPN
    assert [(type(m), m.kwargs) for m in neck.upsample_modules] == [
        (HostResize, dict(mode='nearest'))] * 3
