"""Slots take their hosts' arguments in every form in which the hosts do."""
import inspect
import re

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from slot_cases import SLOTS

from mmups.models.layers import HostResize, NoSite, whole_factor
from mmups.models.upsamplers import BaseUpsampler

DYSAMPLE = dict(type='DySample')
MASK_HEADS = ('FCNMaskHead', 'HTCMaskHead', 'SCNetMaskHead', 'DynamicMaskHead')


def positional(host, cfg):
    """Values for the leading arguments of a host that may stand by position, and the others."""
    kwargs = {key: value for key, value in cfg.items() if key != 'type'}
    args = []
    for name, parameter in list(inspect.signature(host).parameters.items()):
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            break
        if name not in kwargs and parameter.default is parameter.empty:
            break
        args.append(kwargs.pop(name, parameter.default))
    return args, kwargs


@pytest.mark.parametrize('swapped', [False, True])
@pytest.mark.parametrize('slot', [slot for slot, case in SLOTS.items() if case.parity])
def test_positional_arguments(slot, swapped):
    """Every argument of the host at the host's position."""
    case = SLOTS[slot]
    case.need_host()
    host, cls = ROOT.get(case.host), ROOT.get(case.cfg['type'])
    args, kwargs = positional(host, case.cfg)
    named = case.build(DYSAMPLE if swapped else None)
    with ROOT.switch_scope_and_registry(case.package):
        torch.manual_seed(0)
        ours = cls(*args, **kwargs, **({case.key: DYSAMPLE} if swapped else {}))
        keys = list(host(*args, **kwargs).state_dict())
    assert list(ours.state_dict()) == list(named.state_dict())
    if not swapped:
        assert list(ours.state_dict()) == keys
    ours.load_state_dict(named.state_dict())
    named.eval()
    ours.eval()
    maps = case.maps()
    assert all(map(torch.equal, case.run(ours, maps), case.run(named, maps)))


# --- steps of mask heads -------------------------------------------------------------------------


def kernels(kind, scale):
    return dict(upsample_cfg=dict(type=kind, scale_factor=scale))


@pytest.mark.parametrize('scale', [1, 2, 3, 4])
@pytest.mark.parametrize('kind', ['deconv', 'nearest', 'bilinear'])
@pytest.mark.parametrize('slot', MASK_HEADS)
def test_masks_have_the_hosts_size(slot, kind, scale):
    case = SLOTS[slot]
    sizes = [[out.shape for out in case.run(module, case.maps((8, 8)))] for module in (
        case.build_host(**kernels(kind, scale)), case.build(None, **kernels(kind, scale)),
        case.build('DySample', **kernels(kind, scale)))]
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize('slot', MASK_HEADS)
def test_no_convolutions(slot):
    case = SLOTS[slot]
    host = case.build_host(num_convs=0)
    ours = case.build('DySample', num_convs=0)
    maps = case.maps((8, 8))
    assert [out.shape for out in case.run(ours, maps)] == [
        out.shape for out in case.run(host, maps)]


@pytest.mark.parametrize('slot', MASK_HEADS)
def test_a_mask_head_without_a_step_is_no_site(slot):
    """As the host it works, where the host does."""
    case = SLOTS[slot]
    kwargs = kernels(None, 2)
    assert list(case.build(None, **kwargs).state_dict()) == list(
        case.build_host(**kwargs).state_dict())
    message = f"{slot} with upsample_cfg={{'type': None}} has no upsampling step"
    with pytest.raises(NoSite, match=message):
        case.build('DySample', **kwargs)
    if slot == 'FCNMaskHead':
        maps = case.maps((8, 8))
        assert case.run(case.build(None, **kwargs), maps)[0].shape[2:] == (8, 8)
    host = ROOT.get(case.host)
    if slot != 'SCNetMaskHead':  # which takes nothing else by position
        args, others = positional(host if slot != 'HTCMaskHead' else ROOT.get('mmdet.FCNMaskHead'),
                                  {**case.cfg, **kwargs})
        args = [True, *args] if slot == 'HTCMaskHead' else args
        with ROOT.switch_scope_and_registry('mmdet'), pytest.raises(NoSite, match=message):
            ROOT.get(case.cfg['type'])(*args, **others, upsampler=DYSAMPLE)


@pytest.mark.parametrize('scale', [None, 1.5, (2, 3), 0, -2, 'x'], ids=str)
@pytest.mark.parametrize('slot', MASK_HEADS)
def test_factors_that_no_upsampler_has(slot, scale):
    with pytest.raises(ValueError, match='one whole factor .* the host has scale_factor=' +
                       re.escape(repr(scale))):
        SLOTS[slot].build('DySample', **kernels('bilinear', scale))


@pytest.mark.parametrize('value', [2, 2.0, (2, 2), [2, 2.0], np.int64(2),
                                   np.float32(2)], ids=str)
def test_whole_factors(value):
    assert type(whole_factor(value)) is int and whole_factor(value) == 2


@pytest.mark.parametrize('slot, kwargs', [
    ('YOLACTProtonet', dict(proto_channels=(8, None, 32, None, 8, 4),
                            proto_kernel_sizes=(3, -2, 3, -3, 3, 1))),
    ('FeatureRelayHead', dict(scale_factor=2.0)),
    ('FeatureRelayHead', dict(roi_feat_size=5, scale_factor=4)),
    ('SETRUPHead', dict(up_scale=3)), ('SETRMLAHead', dict(up_scale=2)),
    ('PanopticFPNHead', {}), ('SCNetSemanticHead', dict(fusion_level=0)),
    ('SOLOV2Head', {}), ('CondInstMaskHead', {}), ('BoxInstMaskHead', {}),
    ('SOLOV2Head', dict(mask_feature_head=dict(feat_channels=32, start_level=1, end_level=3,
                                               out_channels=8))),
], ids=str)
def test_steps_have_the_hosts_size(slot, kwargs):
    from mmengine.config import ConfigDict
    case = SLOTS[slot]
    kwargs = {key: ConfigDict(value) if isinstance(value, dict) else value
              for key, value in kwargs.items()}
    maps = case.maps()
    shapes = [[out.shape for out in case.run(module, maps)] for module in (
        case.build_host(**kwargs), case.build(None, **kwargs), case.build('DySample', **kwargs))]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize('slot, key', [('FeatureRelayHead', 'scale_factor'),
                                       ('SETRUPHead', 'up_scale'), ('SETRMLAHead', 'up_scale')])
def test_a_broken_factor(slot, key):
    """The host's own, and no upsampler's."""
    case, kwargs = SLOTS[slot], {key: 1.5}
    ours, host = case.build(None, **kwargs), case.build_host(**kwargs)
    ours.load_state_dict(host.state_dict())
    maps = case.maps()
    assert all(map(torch.equal, case.run(ours, maps), case.run(host, maps)))
    with pytest.raises(ValueError, match='scale_factor=1.5'):
        case.build('DySample', **kwargs)


def test_fpn_carafe_without_a_step():
    case = SLOTS['FPN_CARAFE']
    with pytest.raises(NoSite, match="upsample_cfg={'type': None}.* has no upsampling step"):
        case.build('DySample', upsample_cfg=dict(type=None))


# --- the hosts' resizing -------------------------------------------------------------------------

INTERPOLATION = {
    'no mode': dict(), 'factor': dict(scale_factor=2), 'pair': dict(scale_factor=(2, 2)),
    'recomputed': dict(scale_factor=2, recompute_scale_factor=True),
    'antialias': dict(mode='bilinear', antialias=True),
    'aligned': dict(mode='bilinear', align_corners=True), 'area': dict(mode='area'),
    'bicubic': dict(scale_factor=2.0, mode='bicubic', align_corners=False),
    'silent': dict(mode='bilinear', align_corners=True, warning=False),
}


@pytest.mark.parametrize('odd', [False, True])
@pytest.mark.parametrize('slot, name', [
    *((slot, name) for slot in ('FPN', 'FPN-retina', 'FPN_DropBlock', 'RFP')
      for name in INTERPOLATION if name != 'silent'),
    *(('SegFPN', name) for name in INTERPOLATION if name not in ('recomputed', 'antialias')),
    *((slot, name) for slot in ('YOLOXPAFPN', 'CSPNeXtPAFPN')
      for name in ('factor', 'pair', 'recomputed', 'bicubic'))])
def test_upsample_cfg(slot, name, odd):
    """Whatever the host's own resizing takes means the same without an upsampler."""
    case, kwargs = SLOTS[slot], dict(upsample_cfg=INTERPOLATION[name])
    if odd and (not case.host_odd or 'scale_factor' in kwargs['upsample_cfg']):
        pytest.skip('the host needs even sizes')
    ours, host = case.build(None, **kwargs), case.build_host(**kwargs)
    ours.load_state_dict(host.state_dict())
    maps = case.maps(case.odd_size if odd else case.size)
    outs, expected = case.run(ours, maps), case.run(host, maps)
    assert len(outs) == len(expected) and all(map(torch.equal, outs, expected))


def test_host_resize_takes_the_size_where_the_factor_misses_it():
    resize = HostResize(torch.nn.functional.interpolate,
                        dict(scale_factor=2, mode='bilinear', recompute_scale_factor=True))
    x = torch.randn(1, 2, 4, 5)
    for size in (None, (8, 10), (7, 9)):
        expected = torch.nn.functional.interpolate(x, size=size or (8, 10), mode='bilinear')
        assert torch.equal(resize(x, None, size), expected)


# --- activation checkpointing --------------------------------------------------------------------


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize('slot', [
    slot for slot in SLOTS if slot != 'MSDeformAttnPixelDecoder'])  # positions in float32
def test_mmengines_activation_checkpointing(slot, float64):
    """Every upsampler of a slot recomputed: it runs, and the gradients are the same."""
    case, grads = SLOTS[slot], []
    for recompute in (False, True):
        module, maps = case.build('DySample'), [x.requires_grad_() for x in case.maps()]
        names = [name for name, m in module.named_modules() if isinstance(m, BaseUpsampler)]
        if recompute:
            turn_on_activation_checkpointing(module, names)
        sum(out.square().sum() for out in case.run(module, maps)).backward()
        grads.append({name: p.grad for name, p in module.named_parameters()})
    assert names
    for name, grad in grads[0].items():
        if grad is None:
            assert grads[1][name] is None
        else:
            assert (grads[1][name] - grad).norm() <= 1e-5 * (grad.norm() + 1)


# --- what holds its guide ------------------------------------------------------------------------


class Holding(BaseUpsampler):
    """Nearest, plus the guide."""

    guided = True
    includes_guide = True

    def upsample(self, x, guide):
        return torch.nn.functional.interpolate(x, scale_factor=2.0) + guide


@pytest.mark.parametrize('levels', [2, 3, 4])
@pytest.mark.parametrize('slot', ['CondInstMaskHead', 'BoxInstMaskHead'])
def test_condinst_sums_each_level_once(slot, levels):
    """Although every climbed level but the coarsest is in the results of those above it, too."""
    case = SLOTS[slot]
    head = dict(case.cfg['mask_feature_head'], end_level=levels - 1)
    module = case.build(Holding, mask_feature_head=head).mask_feature_head
    module.conv_branch = module.conv_pred = torch.nn.Identity()
    module.convs_all_levels = torch.nn.ModuleList([torch.nn.Identity()] * levels)
    maps = [torch.randn(2, 32, 16 // 2**i, 24 // 2**i) for i in range(levels)]
    expected = sum(torch.nn.functional.interpolate(x, size=(16, 24)) for x in maps)
    torch.testing.assert_close(module(maps), expected)
