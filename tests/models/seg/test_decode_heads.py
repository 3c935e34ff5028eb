"""What the slots in mmseg's decode heads do in their own way: guides, sums, factors, refusals."""
import copy
import pickle

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmengine.structures import PixelData
from slot_cases import SLOTS
from slot_cases.doubles import Guided, IncludesGuide

from mmups.models.layers import SLOT_OF, NoSite

pytest.importorskip('mmseg')
from mmseg.structures import SegDataSample  # noqa: E402

from mmups.models.seg import FILES  # noqa: E402


def run(slot, upsampler=Guided, watch=(), **kwargs):
    """The slot after a forward pass, and what its submodules ``watch`` returned."""
    case, seen = SLOTS[slot], {}
    module = case.build(upsampler, **kwargs)
    for name in watch:
        module.get_submodule(name).register_forward_hook(
            lambda m, args, out, name=name: seen.setdefault(name, out.clone()))
    outs = case.run(module, case.maps())
    return module, [seen[name] for name in watch], outs


def guides(module):
    return [m.guides[0] for m in module.upsample_modules if isinstance(m, Guided)]


# --- guides --------------------------------------------------------------------------------------


@pytest.mark.parametrize('slot, sources', [
    ('UPerHead', ['lateral_convs.0', 'lateral_convs.1', 'lateral_convs.2']),
    ('UPerHead-fusion', [f'fpn_convs.{i}' for i in (2, 1, 0, 1, 0, 0)]),
    ('DepthwiseSeparableASPPHead', ['c1_bottleneck']),
    ('LRASPPHead', ['convs.conv0', 'convs.conv1']),
    ('DPTHead', ['convs.2', 'convs.1', 'convs.0']),
])
def test_guides(slot, sources):
    """The guide of each step is the map that comes from there."""
    module, maps, _ = run(slot, watch=sources)
    assert len(guides(module)) == SLOTS[slot].count
    # The top-down path has added the coarser levels to all laterals but the coarsest.
    for guide, expected in zip(guides(module), maps):
        assert torch.equal(guide, expected)


@pytest.mark.parametrize('slot, levels', [
    ('FPNHead', [0, 1, 0, 2, 1, 0]), ('LightHamHead', [2, 1, 1]), ('FCNHead', [2, 1, 0, 1, 0, 0]),
    ('VPDDepthHead-fusion', [2]),
])
def test_guides_that_are_inputs(slot, levels):
    module, _, _ = run(slot)
    maps = SLOTS[slot].maps()
    assert len(guides(module)) == len(levels)
    for guide, level in zip(guides(module), levels):
        assert torch.equal(guide, maps[level])


def test_uper_sum_that_the_upsampler_makes():
    """A method that includes its guide replaces the sum with it."""
    _, _, (expected, ) = run('UPerHead')
    _, _, (out, ) = run('UPerHead', IncludesGuide)
    torch.testing.assert_close(out, expected)


def test_fpn_head_step_without_a_map():
    """Strides 4 and 16: nothing guides the step to 8."""
    kwargs = dict(in_channels=[32, 32], in_index=[0, 2], feature_strides=[4, 16])
    with pytest.raises(ValueError, match='Guided needs a guide, and this slot has none'):
        SLOTS['FPNHead'].build(Guided, **kwargs)
    case = SLOTS['FPNHead']
    module = case.build('DySample', **kwargs)
    for size in ((32, 48), (37, 53)):
        assert case.run(module, case.maps(size))[0].shape[2:] == size


# --- factors -------------------------------------------------------------------------------------


@pytest.mark.parametrize('sizes, factor', [
    ([(128, 128), (64, 64), (64, 64), (64, 64)], 2), ([(129, 129), (65, 65), (33, 33)], 4),
    ([(129, 129), (64, 64), (32, 32)], 4), ([(7, 9), (4, 5)], 2)], ids=str)
def test_deeplab_factor(sizes, factor):
    """Output stride 8 or 16, backbones that round up or down."""
    case = SLOTS['DepthwiseSeparableASPPHead']
    cfg = dict(case.cfg, in_index=len(sizes) - 1)
    args = ROOT.get(cfg['type']).site_args(cfg, lambda: sizes)
    assert args == dict(scale_factor=factor)
    module = case.build(Guided, **args, in_index=len(sizes) - 1)
    maps = [torch.randn(2, 16 if i else 8, *size) for i, size in enumerate(sizes)]
    assert case.run(module, maps)[0].shape[2:] == sizes[0]
    assert module.upsample_modules[0].scale_factor == factor


def test_deeplab_factor_of_the_last_map():
    """mmseg's default ``in_index``."""
    cls = ROOT.get('mmups.DepthwiseSeparableASPPHead')
    sizes = [(64, 64), (32, 32), (16, 16)]
    assert cls.site_args({}, lambda: sizes) == dict(scale_factor=4)


def test_deeplab_factor_that_is_written_or_unknown():
    """A user's own is kept, and no backbone is run for it; nothing is guessed."""
    cls = ROOT.get('mmups.DepthwiseSeparableASPPHead')
    for cfg in (dict(scale_factor=4), dict(c1_in_channels=0)):
        assert cls.site_args(cfg, lambda: pytest.fail('the sizes are not needed')) == {}
    for cfg, sizes in (({}, None), (dict(in_index=3), [(64, 64), (32, 32)])):
        with pytest.raises(ValueError, match='scale_factor=2 .* stride 8, scale_factor=4 .* 16'):
            cls.site_args(cfg, lambda sizes=sizes: sizes)


# --- logits --------------------------------------------------------------------------------------

HEAD = dict(in_channels=16, in_index=-1, channels=32, num_classes=5, dropout_ratio=0,
            norm_cfg=dict(type='BN'))
#: Arguments of the heads without sites of their own, and how many maps (N, 16, h, w) they take.
PLAIN = {
    'ANNHead': (dict(in_channels=(16, 16), in_index=(0, 1), project_channels=8,
                     dropout_ratio=1e-9), 2),
    'APCHead': (dict(pool_scales=(1, 2)), 1),
    'ASPPHead': (dict(dilations=(1, 2)), 1),
    'CCHead': (dict(), 1),
    'DAHead': (dict(pam_channels=8), 1),
    'DDRHead': (dict(loss_decode=[dict(type='mmseg.CrossEntropyLoss')] * 2), 2),
    'DMHead': (dict(filter_sizes=(1, 3)), 1),
    'DNLHead': (dict(), 1),
    'DepthwiseSeparableFCNHead': (dict(), 1),
    'EMAHead': (dict(ema_channels=16, num_bases=4, num_stages=2), 1),
    'EncHead': (dict(in_channels=(16, 16), in_index=(0, 1), num_codes=4, add_lateral=True), 2),
    'FCNHead': (dict(), 1),
    'GCHead': (dict(), 1),
    'ISAHead': (dict(isa_channels=8, down_factor=(4, 4)), 1),
    'NLHead': (dict(), 1),
    'OCRHead': (dict(ocr_channels=8), 1),
    'PIDHead': (dict(loss_decode=[
        dict(type='mmseg.CrossEntropyLoss'), dict(type='mmseg.OhemCrossEntropy'),
        dict(type='mmseg.BoundaryLoss'), dict(type='mmseg.OhemCrossEntropy')]), 3),
    'PSAHead': (dict(mask_size=(15, 15)), 1),
    'PSPHead': (dict(pool_scales=(1, 2)), 1),
    'STDCHead': (dict(), 1),
}
SIZE = (8, 12)


def build(name, scope='mmups', **kwargs):
    torch.manual_seed(0)
    head = ROOT.build(dict(HEAD, **{**PLAIN[name][0], **kwargs}, type=f'{scope}.{name}'))
    head.init_weights()
    return head


def inputs_of(name, size=SIZE):
    torch.manual_seed(1)
    channels = dict(DDRHead=(8, 16), PIDHead=(8, 16, 8)).get(name, [16] * PLAIN[name][1])
    return tuple(torch.randn(2, c, *size) for c in channels)


def forward(head, name):
    """The head's outputs as a tuple."""
    inputs = inputs_of(name)
    previous = (torch.randn(2, 5, *SIZE), ) if name == 'OCRHead' else ()
    if name in ('DDRHead', 'PIDHead') and not head.training:
        inputs = inputs[1]
    outs = head(inputs, *previous)
    return outs if isinstance(outs, tuple) else (outs, )


def test_every_plain_head_is_tested():
    assert list(PLAIN) == FILES['plain_heads'].split()


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
@pytest.mark.parametrize('name', PLAIN)
def test_plain_parity(name, training):
    """Without an upsampler it is mmseg's head."""
    ours, host = build(name), build(name, 'mmseg')
    assert SLOT_OF[type(host)] is type(ours)
    assert list(ours.state_dict()) == list(host.state_dict())
    for parameter in host.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours.load_state_dict(host.state_dict())
    outs, expected = (forward(head.train(training), name) for head in (ours, host))
    assert len(outs) == len(expected)
    assert all(map(torch.equal, outs, expected))


@pytest.mark.parametrize('name', PLAIN)
def test_plain_logits(name):
    """Twice as large, from an upsampler with its paper's initial weights, and all of it learns."""
    head = build(name, logits_upsampler=dict(type='DySample'))
    upsample, = head.upsample_modules
    assert upsample.offset.weight.std().item() == pytest.approx(0.001, rel=0.15)
    assert type(pickle.loads(pickle.dumps(head))) is type(head)
    copy.deepcopy(head)
    sizes = [tuple(out.shape[2:]) for out in forward(head.eval(), name)]
    assert sizes[0] == tuple(2 * n for n in SIZE)
    outs = forward(head.train(), name)
    sum(out.square().sum() for out in outs).backward()
    assert all(p.grad is not None for p in head.parameters() if p.requires_grad)


@pytest.mark.parametrize('name', ['FCNHead', 'DDRHead', 'PIDHead'])
def test_pretrained_head(name, tmp_path):
    """A checkpoint that ``init_cfg`` names brings the upsampler's weights along, where mmseg's head
    asks for it."""
    trained = build(name, logits_upsampler=dict(type='DySample'))
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(trained.state_dict(), tmp_path / 'head.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'head.pth'))
    head = build(name, logits_upsampler=dict(type='DySample'), init_cfg=init_cfg)
    same = all(map(torch.equal, head.parameters(), trained.parameters()))
    assert same == (name == 'FCNHead')


@pytest.mark.parametrize('name', ['DAHead', 'DDRHead', 'EncHead', 'FCNHead', 'PIDHead', 'STDCHead'])
def test_loss_and_prediction_of_larger_logits(name):
    """mmseg resizes what it gets to the labels' and the image's size."""
    head = build(name, logits_upsampler=dict(type='DySample'),
                 **(dict(num_classes=2) if name == 'STDCHead' else {}))
    samples = []
    for label in torch.randint(0, 2, (2, 1, 64, 96)):
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label),
                                     gt_edge_map=PixelData(data=label)))
    losses = head.loss(inputs_of(name), samples, None)
    sum(value.sum() for key, value in losses.items() if 'loss' in key).backward()
    assert all(value.isfinite().all() for value in losses.values())
    assert head.upsample_modules[0].offset.weight.grad.any()
    inputs = inputs_of(name)
    if name in ('DDRHead', 'PIDHead'):
        inputs = inputs[1]
    logits = head.eval().predict(inputs, [dict(img_shape=(64, 96))] * 2, ConfigDict())
    assert logits.shape[2:] == (64, 96)


@pytest.mark.parametrize('slot', ['UPerHead', 'FPNHead', 'DepthwiseSeparableASPPHead', 'LRASPPHead',
                                  'LightHamHead', 'DPTHead', 'SETRUPHead', 'SETRMLAHead',
                                  'SegformerHead', 'FCNHead'])
def test_logits_after_the_own_sites(slot):
    """Its module comes last, and doubles what the head returned without it."""
    case = SLOTS[slot]
    module = case.build('DySample', logits_upsampler=dict(type='CARAFE'))
    names = [type(m).__name__ for m in module.upsample_modules]
    assert names[-1] == 'CARAFE' and names.count('DySample') == case.count
    out, = case.run(module, case.maps())
    expected, = case.run(case.build('DySample'), case.maps())
    assert out.shape[2:] == tuple(2 * n for n in expected.shape[2:])


# --- as the host ---------------------------------------------------------------------------------


@pytest.mark.parametrize('explicit', [False, True], ids=['default', 'upsampler'])
@pytest.mark.parametrize('slot', ['UPerHead', 'UPerHead-fusion', 'FPNHead', 'LRASPPHead',
                                  'DepthwiseSeparableASPPHead', 'LightHamHead', 'SETRUPHead',
                                  'SETRMLAHead', 'FCNHead'])
def test_align_corners(slot, explicit):
    """The host's ``align_corners`` holds for the host's interpolation."""
    case, kwargs = SLOTS[slot], dict(align_corners=True)
    host = case.build_host(**kwargs)
    ours = case.build(dict(mode='bilinear', align_corners=True) if explicit else None, **kwargs)
    ours.load_state_dict(host.state_dict())
    maps = case.maps(case.odd_size)
    assert all(map(torch.equal, case.run(ours, maps), case.run(host, maps)))


def test_dpt_sizes():
    """Fitted to the maps it meets; mmseg, and interpolation with it, grows odd sizes."""
    case = SLOTS['DPTHead']
    maps = case.maps((7, 9))
    assert case.run(case.build('DySample'), maps)[0].shape[2:] == (56, 72)
    for head in (case.build(), case.build_host()):
        assert case.run(head, maps)[0].shape[2:] == (64, 80)


def test_dpt_takes_four_maps():
    case = SLOTS['DPTHead']
    for module in (case.build(in_channels=[16] * 3, in_index=[0, 1, 2]),
                   case.build('DySample', in_channels=[16] * 3, in_index=[0, 1, 2])):
        with pytest.raises(ValueError, match='this DPTHead was built for 4 maps, got 3'):
            case.run(module, case.maps())


def test_vpd_odd_sizes():
    """mmseg doubles the coarsest map, which fits even sizes only."""
    case = SLOTS['VPDDepthHead']
    maps = case.maps((33, 49))
    with pytest.raises(RuntimeError, match='Sizes of tensors must match'):
        case.run(case.build_host(), maps)
    for head in (case.build(), case.build('DySample'),
                 SLOTS['VPDDepthHead-fusion'].build('FADE')):
        assert case.run(head, maps)[0].shape[2:] == (72, 104)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize('slot, kwargs, reason', [
    ('SegformerHead', dict(in_channels=[24], in_index=[2]), r'in_channels=\[24\]'),
    ('UPerHead', dict(in_channels=[24], in_index=[2]), r'in_channels=\[24\]'),
    ('FPNHead', dict(in_channels=[32], in_index=[0], feature_strides=(4, )), r'strides=\(4,\)'),
    ('DepthwiseSeparableASPPHead', dict(c1_in_channels=0, c1_channels=0), 'c1_bottleneck=None'),
    ('LightHamHead', dict(in_channels=[32], in_index=[1]), r'in_channels=\[32\]'),
    ('FCNHead', dict(in_channels=[32], in_index=[2]), r'in_channels=\[32\]'),
    ('FCNHead-logits', dict(), 'in_channels=8'),
])
def test_no_site(slot, kwargs, reason):
    """One level, no decoder, one map: as the host, and no use for an upsampler."""
    case = SLOTS[slot]
    ours, host = case.build(**kwargs), case.build_host(**kwargs)
    ours.load_state_dict(host.state_dict())
    maps = case.maps()
    assert all(map(torch.equal, case.run(ours, maps), case.run(host, maps)))
    name = case.host.split('.')[1]
    message = (f'{name} with .*{reason}.* has no upsampling step for upsampler; '
               'it has steps for logits_upsampler')
    with pytest.raises(NoSite, match=message):
        ROOT.build(dict(case.cfg, **kwargs, upsampler=dict(type='DySample')))
