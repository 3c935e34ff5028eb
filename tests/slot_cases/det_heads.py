"""The slots in mmdet's mask heads, pixel decoders, mask feature branches and backbones."""
import torch
from mmengine import ConfigDict
from mmengine.structures import InstanceData

from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)


def twice(maps):
    return tuple(2 * n for n in maps[0].shape[2:])


def rois(channels, count):
    """``inputs`` of a case: ``count`` maps of the same size."""
    return lambda size, rounding: [torch.randn(2, channels, *size) for _ in range(count)]


SEMANTIC_HEAD = dict(num_ins=5, fusion_level=1, in_channels=C, conv_out_channels=C, num_convs=1,
                     num_classes=4)
MASK_HEAD = dict(in_channels=C, conv_out_channels=C, num_classes=3, num_convs=1)
RELU = dict(type='ReLU', inplace=True)


def pixel_decoder(name, **kwargs):
    return dict(type=f'mmups.{name}', in_channels=list(BACKBONE), feat_channels=C, out_channels=8,
                **kwargs)


def encoder(**attention):
    """One layer of a transformer encoder."""
    return ConfigDict(num_layers=1, layer_cfg=dict(
        self_attn_cfg=dict(embed_dims=C, num_heads=4, batch_first=True, dropout=0., **attention),
        ffn_cfg=dict(embed_dims=C, feedforward_channels=C, num_fcs=2, ffn_drop=0.,
                     act_cfg=RELU)))


def with_metas(module, maps):
    """The images are smaller than their batch."""
    h, w = (4 * n for n in maps[0].shape[2:])
    metas = [dict(batch_input_shape=(h, w), img_shape=(h, w)),
             dict(batch_input_shape=(h, w), img_shape=(h // 2, w))]
    return module(maps, metas)


def rtmdet_head(name):
    return dict(type=f'mmups.{name}', num_classes=3, in_channels=C, feat_channels=8,
                stacked_convs=1, norm_cfg=dict(type='BN'), anchor_generator=dict(
                    type='mmdet.MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
                bbox_coder=dict(type='mmdet.DistancePointBBoxCoder'),
                loss_cls=dict(type='mmdet.QualityFocalLoss', use_sigmoid=True),
                loss_bbox=dict(type='mmdet.GIoULoss'))


def solo_head(name, **kwargs):
    return dict(type=f'mmups.{name}', num_classes=3, in_channels=C, feat_channels=C,
                stacked_convs=1, num_grids=[6, 5, 4, 3, 2],
                norm_cfg=dict(type='GN', num_groups=4), **kwargs)


def without_peaks(module, maps):
    """In eval mode SOLO keeps the local maxima of its scores, which rounding moves."""
    outs = module(maps)
    return outs if module.training else outs[:-1]


def condinst_head(name):
    return dict(type=f'mmups.{name}', loss_mask=dict(type='mmdet.DiceLoss'),
                mask_feature_head=dict(
                    in_channels=8, feat_channels=C, start_level=0, end_level=2, out_channels=8,
                    mask_stride=8, num_stacked_convs=1, norm_cfg=dict(type='BN')))


def with_instances(module, maps):
    """Two instances per image for CondInst and YOLACT."""
    infos = [InstanceData(param_preds=torch.linspace(-1, 1, 2 * 169).view(2, 169),
                          points=torch.tensor([[40., 60.], [9., 9.]]),
                          strides=torch.tensor([8., 16.]),
                          coeffs=torch.linspace(-1, 1, 8).view(2, 4))] * 2
    return [out for out in module(maps, infos) if out is not None]


def branches(count):
    """A stage of HRNet."""
    return dict(num_modules=1, num_branches=count, block='BASIC', num_blocks=(1, ) * count,
                num_channels=(C, ) * count)


def quarter(maps):
    return tuple((n + 3) // 4 for n in maps[0].shape[2:])


HRNET = dict(type='mmups.HRNet', norm_eval=False, extra=dict(
    stage1=dict(branches(1), block='BOTTLENECK', num_channels=(8, )), stage2=branches(2),
    stage3=branches(3), stage4=branches(4)))
POSITIONS = dict(positional_encoding=dict(num_feats=C // 2, normalize=True))

CASES = [
    SlotCase('HTCMaskHead', 'mmdet.HTCMaskHead', dict(MASK_HEAD, type='mmups.HTCMaskHead'), (), 1,
             guided=False, takes_init_cfg=False, finest=twice, inputs=rois(C, 2),
             call=lambda module, maps: module(*maps),
             options={'bilinear': dict(upsample_cfg=dict(type='bilinear', scale_factor=2))}),
    SlotCase('SCNetMaskHead', 'mmdet.SCNetMaskHead',
             dict(MASK_HEAD, type='mmups.SCNetMaskHead', num_convs=2), (C, ), 1, guided=False,
             takes_init_cfg=False, finest=twice, call=lambda module, maps: module(maps[0]),
             options={'convs': dict(conv_to_res=False)}),
    SlotCase('DynamicMaskHead', 'mmdet.DynamicMaskHead',
             dict(MASK_HEAD, type='mmups.DynamicMaskHead',
                  dynamic_conv_cfg=dict(
                      type='mmdet.DynamicConv', in_channels=C, feat_channels=8, out_channels=C,
                      input_feat_shape=8, with_proj=False, act_cfg=RELU,
                      norm_cfg=dict(type='LN'))),
             (), 1, guided=False, takes_init_cfg=False, size=(8, 8), odd_size=None, finest=twice,
             inputs=lambda size, rounding: [torch.randn(2, C, *size), torch.randn(2, C, 1, 1)],
             call=lambda module, maps: module(*maps)),
    SlotCase('PixelDecoder', 'mmdet.PixelDecoder', pixel_decoder('PixelDecoder'), BACKBONE, 3,
             same_as_host=dict(mode='nearest'), call=with_metas,
             options={'no-norm': dict(norm_cfg=None)}),
    SlotCase('TransformerEncoderPixelDecoder', 'mmdet.TransformerEncoderPixelDecoder',
             pixel_decoder('TransformerEncoderPixelDecoder', encoder=encoder(), **POSITIONS),
             BACKBONE, 3, same_as_host=dict(mode='nearest'), call=with_metas),
    SlotCase('MSDeformAttnPixelDecoder', 'mmdet.MSDeformAttnPixelDecoder',
             pixel_decoder('MSDeformAttnPixelDecoder', encoder=encoder(num_levels=3, num_points=2),
                           **POSITIONS),
             BACKBONE, 1, same_as_host=dict(mode='bilinear'),
             options={'four-outs': dict(num_outs=4), 'one-out': dict(num_outs=1)}),
    SlotCase('FusedSemanticHead', 'mmdet.FusedSemanticHead',
             dict(SEMANTIC_HEAD, type='mmups.FusedSemanticHead'), (C, ) * 5, 6,
             same_as_host=dict(mode='bilinear', align_corners=True),
             finest=lambda maps: maps[1].shape[2:],
             options={'finest': dict(fusion_level=0),
                      'norm': dict(norm_cfg=dict(type='BN'), num_convs=2)}),
    SlotCase('SCNetSemanticHead', 'mmdet.SCNetSemanticHead',
             dict(SEMANTIC_HEAD, type='mmups.SCNetSemanticHead', num_convs=2), (C, ) * 5, 6,
             same_as_host=dict(mode='bilinear', align_corners=True),
             finest=lambda maps: maps[1].shape[2:], options={'convs': dict(conv_to_res=False)}),
    SlotCase('RTMDetInsHead', 'mmdet.RTMDetInsHead', rtmdet_head('RTMDetInsHead'), (C, ) * 3, 3,
             same_as_host=dict(mode='bilinear')),
    SlotCase('RTMDetInsSepBNHead', 'mmdet.RTMDetInsSepBNHead', rtmdet_head('RTMDetInsSepBNHead'),
             (C, ) * 3, 3, same_as_host=dict(mode='bilinear'),
             options={'objectness': dict(with_objectness=True),
                      'convs': dict(share_conv=False)}),
    SlotCase('SOLOV2Head', 'mmdet.SOLOV2Head',
             solo_head('SOLOV2Head', mask_feature_head=ConfigDict(
                 feat_channels=C, start_level=0, end_level=3, out_channels=8,
                 norm_cfg=dict(type='GN', num_groups=8))),
             (C, ) * 5, 6, same_as_host=dict(mode='bilinear'), size=(32, 48), host_odd=False,
             finest=None,
             options={'two-levels': dict(mask_feature_head=ConfigDict(
                 feat_channels=C, start_level=1, end_level=2, out_channels=8))}),
    SlotCase('CondInstMaskHead', 'mmdet.CondInstMaskHead', condinst_head('CondInstMaskHead'),
             (8, ) * 3, 3, host_odd=False, finest=None, takes_init_cfg=False, call=with_instances),
    SlotCase('BoxInstMaskHead', 'mmdet.BoxInstMaskHead', condinst_head('BoxInstMaskHead'),
             (8, ) * 3, 3, host_odd=False, takes_init_cfg=False,
             call=lambda module, maps: module.mask_feature_head(tuple(maps))),
    SlotCase('YOLACTProtonet', 'mmdet.YOLACTProtonet',
             dict(type='mmups.YOLACTProtonet', num_classes=3, in_channels=8,
                  proto_channels=(8, C, None, 8, 4), proto_kernel_sizes=(3, 3, -2, 3, 1),
                  num_protos=4),
             (8, ), 1, guided=False, same_as_host=dict(mode='bilinear'), finest=None,
             call=with_instances,
             options={'no-relu': dict(include_last_relu=False),
                      'x4': dict(proto_kernel_sizes=(3, 3, -4, 3, 1)),
                      'no-segmentation': dict(with_seg_branch=False)}),
    SlotCase('HourglassNet', 'mmdet.HourglassNet',
             dict(type='mmups.HourglassNet', downsample_times=2, num_stacks=2,
                  stage_channels=(C, ) * 3, stage_blocks=(1, ) * 3, feat_channel=8),
             (3, ), 4, same_as_host=dict(mode='nearest'), takes_init_cfg=False, finest=quarter,
             size=(64, 96), call=lambda module, maps: module(maps[0]),
             options={'one-stack': dict(num_stacks=1)}),
    SlotCase('HRNet', 'mmdet.HRNet', HRNET, (3, ), 15, same_as_host=dict(mode='nearest'),
             host_odd=False, finest=quarter, size=(64, 96),
             call=lambda module, maps: module(maps[0]),
             options={'one-scale': dict(multiscale_output=False), 'frozen': dict(norm_eval=True)}),
    SlotCase('SOLOHead', 'mmdet.SOLOHead', solo_head('SOLOHead'), (C, ) * 5, 1,
             same_as_host=dict(mode='bilinear'), finest=None, call=without_peaks),
    SlotCase('DecoupledSOLOHead', 'mmdet.DecoupledSOLOHead', solo_head('DecoupledSOLOHead'),
             (C, ) * 5, 1, same_as_host=dict(mode='bilinear'), finest=None, call=without_peaks),
    SlotCase('DecoupledSOLOLightHead', 'mmdet.DecoupledSOLOLightHead',
             solo_head('DecoupledSOLOLightHead'), (C, ) * 5, 1,
             same_as_host=dict(mode='bilinear'), finest=None, call=without_peaks),
    SlotCase('FeatureRelayHead', 'mmdet.FeatureRelayHead',
             dict(type='mmups.FeatureRelayHead', in_channels=8, out_conv_channels=C), (), 1,
             guided=False, same_as_host=dict(mode='bilinear', align_corners=True),
             odd_size=None, finest=lambda maps: (14, 14),
             inputs=lambda size, rounding: [torch.randn(2, 8, 1, 1)],
             call=lambda module, maps: module(maps[0].flatten(1)),
             options={'x3': dict(roi_feat_size=5, scale_factor=3)}),
]
