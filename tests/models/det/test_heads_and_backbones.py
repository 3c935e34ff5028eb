"""What the slots in mmdet's heads, pixel decoders and backbones do in their own way."""
import pickle

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.registry import MODELS as ROOT
from slot_cases import SLOTS
from slot_cases.doubles import Guided, IncludesGuide

from mmups.models.layers import SLOT_OF, NoSite

UP = dict(type='DySample')


LATERALS = ['lateral_convs.0', 'lateral_convs.1', 'lateral_convs.2']
HOURGLASS = ['hourglass_modules.0.low2.up1', 'hourglass_modules.0.up1',
             'hourglass_modules.1.low2.up1', 'hourglass_modules.1.up1']
SOURCES = {
    'PixelDecoder': LATERALS,
    'TransformerEncoderPixelDecoder': LATERALS,
    'MSDeformAttnPixelDecoder': LATERALS[:1],
    'FusedSemanticHead': [3, 2, 1, 2, 1, 1],
    'SCNetSemanticHead': [3, 2, 1, 2, 1, 1],
    'RTMDetInsHead': [1, 0, 0],
    'RTMDetInsSepBNHead': [1, 0, 0],
    'SOLOV2Head': [0, 1, 0, 2, 1, 0],
    'SOLOHead': [3],
    'CondInstMaskHead': [f'mask_feature_head.convs_all_levels.{i}' for i in (1, 0, 0)],
    'HourglassNet': HOURGLASS,
    'HRNet': ['stage2.0.branches.0', 'stage3.0.fuse_layers.0.1', 'stage3.0.branches.0',
              'stage3.0.branches.0', 'stage3.0.branches.1'],
}


@pytest.mark.parametrize('slot, sources', SOURCES.items(), ids=SOURCES)
def test_guides(slot, sources):
    """An input map by its number, or what a submodule returned, in the order of the modules."""
    case, seen = SLOTS[slot], {}
    module, maps = case.build(Guided), case.maps((64, 96))
    for name in sources:
        if isinstance(name, str):
            module.get_submodule(name).register_forward_hook(
                lambda m, args, out, name=name: seen.setdefault(name, out))
    case.run(module, maps)
    guides = [m.guides[0] for m in module.modules() if isinstance(m, Guided)]
    assert len(guides) == case.count
    for guide, source in zip(guides, sources):
        assert torch.equal(guide, maps[source] if isinstance(source, int) else seen[source])


@pytest.mark.parametrize('slot', ['PixelDecoder', 'TransformerEncoderPixelDecoder',
                                  'MSDeformAttnPixelDecoder', 'HourglassNet', 'CondInstMaskHead'])
def test_sum_with_the_guide_is_made_once(slot):
    case, outs = SLOTS[slot], []
    for upsampler in (Guided, IncludesGuide):
        module = case.build(upsampler)
        outs.append(case.run(module, case.maps((64, 96))))
    for out, expected in zip(*outs):
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('slot, others', [
    ('PixelDecoder', [None]), ('TransformerEncoderPixelDecoder', [None]),
    ('MSDeformAttnPixelDecoder', []), ('FusedSemanticHead', []), ('SCNetSemanticHead', [])])
def test_maps_of_another_number(slot, others):
    case = SLOTS[slot]
    module, maps = case.build(UP), case.maps()
    with pytest.raises(ValueError, match=f'{slot} takes a list of maps, got a tensor of shape'):
        module(maps[0], *others)
    count = len(maps)
    with pytest.raises(ValueError, match=f'built for {count} maps, got {count - 1}'):
        module(maps[1:], *others)


@pytest.mark.parametrize('slot, kwargs, message', [
    ('FusedSemanticHead', dict(fusion_level=4), 'num_ins=5, fusion_level=4'),
    ('RTMDetInsHead', dict(anchor_generator=dict(
        type='mmdet.MlvlPointGenerator', offset=0, strides=[8])), r'strides=\[.*8.*\]'),
    ('SOLOV2Head', dict(mask_feature_head=ConfigDict(
        feat_channels=32, start_level=0, end_level=0, out_channels=8)), 'end_level=0'),
    ('SOLOHead', dict(strides=[4], scale_ranges=[(1, 2048)], num_grids=[4]), r'strides=\[4\]'),
    ('CondInstMaskHead', dict(mask_feature_head=dict(
        in_channels=8, feat_channels=32, start_level=1, end_level=1, out_channels=8)),
     'start_level=1, end_level=1'),
    ('YOLACTProtonet', dict(proto_channels=(8, 4), proto_kernel_sizes=(3, 1)),
     r'proto_channels=\(8, 4\)'),
    ('PixelDecoder', dict(in_channels=[8]), r'in_channels=\[8\]'),
    ('MSDeformAttnPixelDecoder', dict(in_channels=[8, 16, 24], strides=[8, 16, 32]),
     'num_input_levels=3, num_encoder_levels=3'),
    ('PanopticFPNHead', dict(end_level=1), 'start_level=0, end_level=1'),
], ids=str)
def test_nothing_to_upsample(slot, kwargs, message):
    """The host can be built with these arguments; a slot refuses an upsampler and names them."""
    SLOTS[slot].build(**kwargs)
    with pytest.raises(NoSite, match=f'{slot} with {message} has no upsampling step'):
        SLOTS[slot].build(UP, **kwargs)


@pytest.mark.parametrize('slot', [
    'CondInstMaskHead', 'BoxInstMaskHead', 'SOLOV2Head', 'RTMDetInsHead', 'RTMDetInsSepBNHead',
    'PanopticFPNHead', 'HourglassNet', 'YOLACTProtonet', 'FeatureRelayHead'])
def test_what_takes_a_modules_place_starts_with_its_weights(slot):
    """With an upsampler that draws nothing, all weights are those of the host, bit by bit."""
    case = SLOTS[slot]
    ours, host = (module.state_dict() for module in (
        case.build(dict(mode='bilinear')), case.build_host()))
    assert list(ours) == list(host) and all(torch.equal(ours[key], host[key]) for key in host)


@pytest.mark.parametrize('scale', [2, 3])
@pytest.mark.parametrize('slot, kwargs', [
    ('HTCMaskHead', {}), ('SCNetMaskHead', dict(conv_to_res=False)), ('DynamicMaskHead', {})])
def test_mask_heads_keep_the_host_around_the_upsampler(slot, kwargs, scale):
    """mmdet's own interpolation, named as an upsampler. mmdet has no ReLU behind it, and behind
    the convolutions' own it changes nothing."""
    case = SLOTS[slot]
    host = case.build_host(upsample_cfg=dict(type='bilinear', scale_factor=scale), **kwargs)
    ours = case.build(dict(mode='bilinear'), **kwargs,
                      upsample_cfg=dict(type='deconv', scale_factor=scale))
    assert list(ours.state_dict()) == list(host.state_dict())
    ours.load_state_dict(host.state_dict())
    maps = case.maps()
    assert all(map(torch.equal, case.run(ours, maps), case.run(host, maps)))


def test_htc_features_pass_by_the_upsampler():
    """The features that one stage hands to the next have the RoIs' size."""
    module = SLOTS['HTCMaskHead'].build(UP)
    rois = torch.randn(2, 32, 14, 14)
    features = module(rois, return_logits=False)
    assert features.shape == (2, 32, 14, 14)
    logits, same = module(rois)
    assert logits.shape == (2, 3, 28, 28)
    assert torch.equal(features, same)


def test_yolact_factor():
    """The factor is that of the step which is replaced."""
    case = SLOTS['YOLACTProtonet']
    module = case.build(UP, proto_kernel_sizes=(3, 3, -4, 3, 1))
    assert case.run(module, case.maps((8, 12)))[0].shape[:2] == (32, 48)


@pytest.mark.parametrize('name', ['maskformer_r50_ms-16xb1-75e_coco',
                                  'maskformer_swin-l-p4-w12_64xb1-ms-300e_coco'])
def test_maskformer_takes_the_slot_for_its_host(name):
    """mmdet's MaskFormerHead looks at the decoder's very type when it decides on a projection."""
    keys = []
    for slot in (False, True):
        cfg = get_config(f'mmdet::maskformer/{name}.py').model.panoptic_head
        if slot:
            cfg.pixel_decoder.update(type=f'mmups.{cfg.pixel_decoder.type}', upsampler=UP)
        keys.append(maskformer_keys(cfg))
    host, ours = keys
    assert [key for key in ours if 'upsample_modules' not in key] == host
    assert len(ours) > len(host)


def maskformer_keys(cfg):
    cfg.transformer_decoder.num_layers = 1
    return list(ROOT.build(dict(cfg, type='mmdet.MaskFormerHead')).state_dict())


def test_maskformers_decoders_are_told_apart():
    """The slot and its host are two classes; both, and what derives from the slot, get the
    projection, and what derives from the host does not."""
    host, slot = (ROOT.get(f'{scope}.PixelDecoder') for scope in ('mmdet', 'mmups'))
    assert host != slot and slot == slot and {host: 1, slot: 2}[host] == 1
    assert SLOT_OF[host] is slot and slot not in SLOT_OF
    module = SLOTS['PixelDecoder'].build(UP)
    assert isinstance(module, host)
    assert not isinstance(SLOTS['PixelDecoder'].build_host(), slot)
    assert type(pickle.loads(pickle.dumps(module))) is slot
    projected = []
    for cls in (host, slot, type('OfHost', (host, ), {}), type('OfSlot', (slot, ), {})):
        cfg = get_config('mmdet::maskformer/maskformer_swin-l-p4-w12_64xb1-ms-300e_coco.py')
        cfg.model.panoptic_head.pixel_decoder.type = cls
        keys = maskformer_keys(cfg.model.panoptic_head)
        projected.append('decoder_input_proj.weight' in keys)
    assert projected == [True, True, False, True]


def test_hrnet_sums_each_branch_once():
    """Fusions of 2, 3 and 4 branches, with a method whose output is guide + nearest."""
    case = SLOTS['HRNet']
    gated, plain = case.build(IncludesGuide), case.build(None)
    gated.load_state_dict(plain.state_dict())
    gated.eval(), plain.eval()
    maps = case.maps((64, 64))
    for out, expected in zip(case.run(gated, maps), case.run(plain, maps)):
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
