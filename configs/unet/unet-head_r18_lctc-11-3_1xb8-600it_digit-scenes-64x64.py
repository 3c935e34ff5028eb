# The setting of LCTC in small: an encoder, a UNet decoder to full resolution.
_base_ = [
    '../_base_/models/resnet18-small_digit-scenes.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_64x64.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/lctc-11-3.py'
]
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2)),
    decode_head=dict(
        type='mmups.UNetHead', in_channels=[32, 64, 128], channels=(64, 32, 32, 16),
        num_classes=5, norm_cfg=_base_.norm_cfg, align_corners=False,
        upsampler=_base_.upsampler,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
