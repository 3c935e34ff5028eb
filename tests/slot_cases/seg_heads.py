"""The slots in mmseg's decode heads."""
import torch
from torch import nn

from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)
HEAD = dict(channels=C, num_classes=5, dropout_ratio=0, norm_cfg=dict(type='BN'))
PYRAMID = dict(HEAD, in_channels=list(BACKBONE), in_index=[0, 1, 2, 3])
BILINEAR = dict(mode='bilinear')


def same_size(channels, count):
    """Maps of a transformer."""
    return lambda size, rounding: [torch.randn(2, channels, *size) for _ in range(count)]


def larger(factor):
    return lambda maps: tuple(factor * n for n in maps[0].shape[2:])


def small_pool(module, maps):
    """LRASPPHead, whose pool wants maps of 49x49 at 1/8."""
    module.image_pool[0] = nn.AvgPool2d(4, stride=2)
    return module(tuple(maps))


def seeded(module, maps):
    """LightHamHead, which draws new bases each time."""
    torch.manual_seed(0)
    return module(tuple(maps))


def with_class_tokens(module, maps):
    return module([(x, x.mean((2, 3))) for x in maps])


DPT = dict(HEAD, type='mmups.DPTHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], embed_dims=16,
           input_transform='multiple_select', post_process_channels=[C, C, 8, 8])
DPT_CASE = dict(host='mmseg.DPTHead', cfg=DPT, channels=(), inputs=same_size(16, 4), size=(8, 12),
                odd_size=(7, 9), finest=None, call=with_class_tokens)
UPER = dict(PYRAMID, type='mmups.UPerHead', pool_scales=(1, 2))
VPD = dict(type='mmups.VPDDepthHead', in_channels=[16, 16, C, C], embed_dim=C, feature_dim=8 * C,
           num_deconv_layers=1, num_deconv_filters=(8, ))

CASES = [
    SlotCase('SegformerHead', 'mmseg.SegformerHead', dict(PYRAMID, type='mmups.SegformerHead'),
             BACKBONE, 6, same_as_host=BILINEAR),
    SlotCase('UPerHead', 'mmseg.UPerHead', UPER, BACKBONE, 3, others=6, same_as_host=BILINEAR,
             options=dict(three=dict(in_channels=list(BACKBONE[1:]), in_index=[1, 2, 3]),
                          pools=dict(pool_scales=(1, 2, 3, 6)))),
    SlotCase('UPerHead-fusion', 'mmseg.UPerHead', UPER, BACKBONE, 6, others=3,
             key='fusion_upsampler', same_as_host=BILINEAR),
    SlotCase('UNetHead', 'mmups.UNetHead',
             dict(type='mmups.UNetHead', num_classes=5, in_channels=[C] * 4, channels=(C, C, C),
                  dropout_ratio=0, norm_cfg=dict(type='BN')), (C, ) * 4, 3, host_odd=False,
             options=dict(kernel=dict(kernel_size=7), without_skip=dict(channels=(C, C, C, 8)))),
    SlotCase('DenseDepthHead', 'mmups.DenseDepthHead',
             dict(type='mmups.DenseDepthHead', in_channels=[C] * 4, scale_up=True), (C, ) * 4, 3,
             same_as_host=dict(mode='bilinear', align_corners=True),
             options=dict(positive=dict(scale_up=False), two=dict(
                 in_channels=[C, C], in_index=[1, 2]))),
    SlotCase('FPNHead', 'mmseg.FPNHead',
             dict(HEAD, type='mmups.FPNHead', feature_strides=[4, 8, 16, 32],
                  in_channels=[C, C, C, 8], in_index=[0, 1, 2, 3]), (C, C, C, 8), 6,
             same_as_host=BILINEAR, options=dict(
                 gap=dict(in_channels=[C, C], in_index=[0, 2], feature_strides=[4, 16]),
                 equal=dict(in_channels=[C] * 3, in_index=[0, 0, 1], feature_strides=[4, 4, 8]))),
    SlotCase('DepthwiseSeparableASPPHead', 'mmseg.DepthwiseSeparableASPPHead',
             dict(HEAD, type='mmups.DepthwiseSeparableASPPHead', in_channels=16, in_index=1,
                  c1_in_channels=8, c1_channels=C, dilations=(1, 2)), (8, 16), 1,
             same_as_host=BILINEAR),
    SlotCase('LRASPPHead', 'mmseg.LRASPPHead',
             dict(HEAD, type='mmups.LRASPPHead', in_channels=(8, 16, 24), in_index=(0, 1, 2),
                  input_transform='multiple_select', branch_channels=(C, C)), (8, 16, 24), 2,
             same_as_host=BILINEAR, call=small_pool),
    SlotCase('LightHamHead', 'mmseg.LightHamHead',
             dict(HEAD, type='mmups.LightHamHead', in_channels=[C, C, C], in_index=[1, 2, 3],
                  ham_channels=16, ham_kwargs=dict(MD_R=8)), (4, C, C, C), 3,
             same_as_host=BILINEAR, finest=lambda maps: maps[1].shape[2:], call=seeded),
    SlotCase('DPTHead', count=3, others=1,
             same_as_host=dict(mode='bilinear', align_corners=True), options=dict(
                 add=dict(readout_type='add'), project=dict(readout_type='project')), **DPT_CASE),
    SlotCase('DPTHead-final', count=1, others=3, key='final_upsampler', guided=False,
             same_as_host=dict(mode='bilinear', align_corners=True), **DPT_CASE),
    # x4 in one step, for which Deconv's default kernel is too small.
    SlotCase('DPTHead-reassemble', count=2, others=4, key='reassemble_upsampler', guided=False,
             unfit=('Deconv', ), **DPT_CASE),
    SlotCase('SETRUPHead', 'mmseg.SETRUPHead',
             dict(HEAD, type='mmups.SETRUPHead', in_channels=16, in_index=0, num_convs=2,
                  up_scale=2), (), 2, guided=False, same_as_host=BILINEAR,
             inputs=same_size(16, 1), size=(8, 12), odd_size=(7, 9), finest=larger(4),
             options=dict(naive=dict(num_convs=1, up_scale=4, kernel_size=1))),
    SlotCase('SETRMLAHead', 'mmseg.SETRMLAHead',
             dict(HEAD, type='mmups.SETRMLAHead', channels=2 * C, mla_channels=C, up_scale=4,
                  in_channels=[16, 16], in_index=[0, 1]), (), 2, guided=False,
             same_as_host=BILINEAR, inputs=same_size(16, 2), size=(8, 12), odd_size=(7, 9),
             finest=larger(4), unfit=('Deconv', )),
    # mmseg doubles the coarsest map, and all others must meet it.
    SlotCase('VPDDepthHead', 'mmseg.VPDDepthHead', VPD, (16, 16, C, C), 2, others=1, guided=False,
             same_as_host=BILINEAR, odd_size=None),
    SlotCase('VPDDepthHead-fusion', 'mmseg.VPDDepthHead', VPD, (16, 16, C, C), 1, others=2,
             key='fusion_upsampler', same_as_host=dict(mode='nearest'), odd_size=None),
    SlotCase('FCNHead', 'mmseg.FCNHead',
             dict(HEAD, type='mmups.FCNHead', in_channels=[C] * 4, in_index=(0, 1, 2, 3),
                  input_transform='resize_concat', num_convs=1, concat_input=False),
             (C, ) * 4, 6, same_as_host=BILINEAR),
    SlotCase('FCNHead-logits', 'mmseg.FCNHead',
             dict(HEAD, type='mmups.FCNHead', in_channels=8, num_convs=1, concat_input=False),
             (8, ), 1, guided=False, key='logits_upsampler', finest=larger(2)),
]
