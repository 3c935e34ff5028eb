"""What the slots in mmdet's necks do in their own way: guides, counts, sums, refusals."""
import pytest
import torch
import torch.nn.functional as F
from slot_cases import SLOTS
from slot_cases.doubles import Guided, IncludesGuide

from mmups.models.det import DyHead
from mmups.models.layers import NoSite


def run(slot, upsampler=Guided, **kwargs):
    """The slot, its input maps with the finest 64 high, and its outputs."""
    case = SLOTS[slot]
    module, maps = case.build(upsampler, **kwargs), case.maps((64, 96))
    return module, maps, case.run(module, maps)


def guides_of(module):
    """Per upsampler the guides that it was given."""
    return [[guide for _, guide in m.calls] for m in module.upsample_modules]


@pytest.mark.parametrize('slot, heights', [
    ('PAFPN', [64, 32, 16]),
    ('FPN_DropBlock', [64, 32, 16]),
    ('YOLOXPAFPN', [64, 32]),
    ('CSPNeXtPAFPN', [64, 32]),
    ('YOLOV3Neck', [64, 32]),
    ('BFP', [8, 16, 16, 32, 64]),
    ('HRFPN', [16, 32, 64, 32, 64, 64]),
    ('NASFPN', [8, 16, 32, 4] * 2),
    ('NASFCOS_FPN', [16, 32, 16, 32, 32, 16, 32, 16, 32]),
    ('FPG', [8, 32, 16, 8, 64, 32, 16, 8]),
])
def test_heights_of_guides(slot, heights):
    """Each upsampler is used once, and guided by a map of the level that it reaches."""
    module, _, _ = run(slot)
    assert [[guide.shape[2] for guide in guides] for guides in guides_of(module)] == [
        [height] for height in heights]


@pytest.mark.parametrize('slot', ['YOLOXPAFPN', 'CSPNeXtPAFPN', 'YOLOV3Neck'])
def test_yolo_guides_are_the_backbones(slot):
    module, maps, _ = run(slot)
    for (guide, ), x in zip(guides_of(module), maps):
        assert guide is x


def test_bfp_guides_are_its_inputs():
    module, maps, _ = run('BFP')
    for (guide, ), level in zip(guides_of(module), [3, 2, 2, 1, 0]):
        assert guide is maps[level]
    assert module.upsample_modules[4].calls[0][0].shape[2] == 32  # the scattered map goes on


@pytest.mark.parametrize('slot', ['PAFPN', 'FPN_DropBlock', 'RFP'])
def test_fpn_guides_are_laterals(slot):
    case = SLOTS[slot]
    module, laterals = case.build(Guided), []
    for conv in module.lateral_convs:
        conv.register_forward_hook(lambda m, args, out: laterals.append(out))
    case.run(module, case.maps((64, 96)))
    passes = 2 if slot == 'RFP' else 1
    for i, guides in enumerate(guides_of(module)):
        assert len(guides) == passes
        assert all(map(lambda a, b: a is b, guides, laterals[i::4]))


def test_rfp_shares_its_upsamplers_among_passes():
    module, _, _ = run('RFP', rfp_steps=3)
    assert [len(m.calls) for m in module.upsample_modules] == [3, 3, 3]


def test_dyhead_has_one_upsampler_per_block():
    """It serves all levels; the guides of the first block are the inputs, of other channels."""
    module = DyHead(16, 32, num_blocks=3, upsampler=dict(type=Guided))
    maps = [torch.randn(2, 16, n, n) for n in (16, 8, 4, 2)]
    outs = module(maps)
    assert [out.shape for out in outs] == [(2, 32, n, n) for n in (16, 8, 4, 2)]
    assert [(m.in_channels, m.guide_channels) for m in module.upsample_modules] == [
        (32, 16), (32, 32), (32, 32)]
    assert [len(m.calls) for m in module.upsample_modules] == [3, 3, 3]
    assert all(map(lambda a, b: a is b, guides_of(module)[0], maps))


def test_fpg_ways_down():
    """A pathway that leads down has a second way; mmdet's unused ones get no upsampler."""
    up = SLOTS['FPG'].cfg['across_down_trans']
    module, _, _ = run('FPG', paths=['bu', 'td', 'bu'], same_down_trans=up, skip_inds=[()] * 5)
    assert [[guide.shape[2] for guide in guides] for guides in guides_of(module)] == [
        [height] for height in [64, 32, 16, 8] + [64, 64, 32, 32, 16, 16, 8, 8] + [64, 32, 16, 8]]


def test_fpg_with_a_broken_factor():
    """The host's own, and no upsampler's."""
    case = SLOTS['FPG']
    trans = dict(case.cfg['across_down_trans'], scale_factor=1.5)
    assert case.build(across_down_trans=trans).upsample_modules[0].kwargs['scale_factor'] == 1.5
    with pytest.raises(ValueError, match='scale_factor=1.5'):
        case.build('DySample', across_down_trans=trans)


@pytest.mark.parametrize('slot, sums, kwargs', [
    ('PAFPN', [0, 1, 2], {}),
    ('FPN_DropBlock', [0, 1, 2], {}),
    ('RFP', [0, 1, 2], {}),
    ('BFP', [0, 1], dict(num_levels=3, refine_level=1)),
    ('BFP', range(5), {}),
    ('NASFPN', [2, 6], {}),
    ('NASFCOS_FPN', [6, 8], {}),
])
def test_guides_are_not_added_twice(slot, sums, kwargs):
    """Upsamplers in front of a sum with their guide may return the sum."""
    case = SLOTS[slot]
    module = case.build(Guided, **kwargs).eval()
    maps = case.maps((64, 96))[:kwargs.get('num_levels')]
    expected = case.run(module, maps)
    for i in sums:
        upsample = module.upsample_modules[i]
        module.upsample_modules[i] = IncludesGuide(upsample.in_channels, 2, upsample.guide_channels)
    outs = case.run(module, maps)
    for out, reference in zip(outs, expected):
        torch.testing.assert_close(out, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('count, level', [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1),
                                          (4, 2), (4, 3)])
def test_bfp_counts_every_map_once(count, level):
    """Gathering is the mean of all maps and scattering a sum of two, also where each step's output
    holds its guide."""
    case = SLOTS['BFP']
    module = case.build(IncludesGuide, num_levels=count, refine_level=level, refine_type=None)
    maps = case.maps((32, 48))[:count]

    def resize(x, size):
        pooled = x.shape[2] > size[0]
        return F.adaptive_max_pool2d(x, size) if pooled else F.interpolate(x, size=size)

    mean = sum(resize(x, maps[level].shape[2:]) for x in maps) / count
    for out, x in zip(case.run(module, maps), maps):
        torch.testing.assert_close(out, x + resize(mean, x.shape[2:]))


@pytest.mark.parametrize('slot, kwargs, message', [
    ('PAFPN', dict(start_level=3, num_outs=1),
     'PAFPN with start_level=3, end_level=-1 has no upsampling step for upsampler'),
    ('FPN_DropBlock', dict(start_level=1, end_level=1, num_outs=1), 'has no upsampling step'),
    ('RFP', dict(start_level=3, num_outs=1), 'RFP with .* has no upsampling step'),
    ('YOLOXPAFPN', dict(in_channels=[32]), r'in_channels=\[32\] has no upsampling step'),
    ('CSPNeXtPAFPN', dict(in_channels=[32]), r'in_channels=\[32\] has no upsampling step'),
    ('YOLOV3Neck', dict(num_scales=1, in_channels=[32], out_channels=[32]), 'num_scales=1 has'),
    ('BFP', dict(num_levels=1, refine_level=0), 'num_levels=1 has'),
    ('HRFPN', dict(in_channels=[32]), r'in_channels=\[32\] has no upsampling step'),
    ('DyHead', dict(num_blocks=0), 'num_blocks=0 has'),
    ('FPG', dict(across_down_trans=None), 'same_down_trans=None, across_down_trans=None has no up'),
    ('FPG', dict(across_down_trans=None,
                 same_down_trans=dict(type='interpolation_conv')),
     "same_down_trans={'type': 'interpolation_conv'}, across_down_trans=None has no up"),
])
def test_nothing_to_upsample(slot, kwargs, message):
    """It works without an upsampler, and refuses one."""
    SLOTS[slot].build(**kwargs)
    with pytest.raises(NoSite, match=message):
        SLOTS[slot].build('DySample', **kwargs)


@pytest.mark.parametrize('slot', ['PAFPN', 'FPN_DropBlock', 'YOLOXPAFPN', 'CSPNeXtPAFPN',
                                  'YOLOV3Neck', 'BFP', 'HRFPN', 'FPG'])
def test_number_of_inputs(slot):
    case = SLOTS[slot]
    module, maps = case.build(), case.maps()
    for wrong in (maps[:-1], [*maps, maps[-1]]):
        with pytest.raises(ValueError, match=f'this {slot} was built for {len(maps)} maps, got '
                                             f'{len(wrong)}'):
            module(tuple(wrong))


@pytest.mark.parametrize('upsampler', [None, 'DySample'])
@pytest.mark.parametrize('slot', ['PAFPN', 'YOLOV3Neck', 'BFP', 'HRFPN', 'DyHead', 'CTResNetNeck'])
def test_one_tensor_is_no_list(slot, upsampler):
    case = SLOTS[slot]
    with pytest.raises(ValueError, match=f'{slot} takes a list of maps, got a tensor of shape'):
        case.build(upsampler)(case.maps()[-1])


def test_ct_resnet_neck_keeps_the_norms():
    """Of a transposed convolution only its weight goes."""
    case = SLOTS['CTResNetNeck']
    gone = set(case.build_host().state_dict()) - set(case.build('DySample').state_dict())
    assert gone == {f'deconv_layers.{i}.conv.weight' for i in (1, 3, 5)}
