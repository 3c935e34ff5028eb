"""The slots in mmdet's mask heads, pixel decoders, mask feature branches and backbones."""
import torch
from mmengine import ConfigDict

from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)


def twice(maps):
    return tuple(2 * n for n in maps[0].shape[2:])


def rois(channels, count):
    """``inputs`` of a case: ``count`` maps of the same size."""
    return lambda size, rounding: [torch.randn(2, channels, *size) for _ in range(count)]


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
]
