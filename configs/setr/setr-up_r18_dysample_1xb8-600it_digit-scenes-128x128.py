# A decoder without fine skip connections: one map of 1/16 climbs four steps to full resolution.
_base_ = [
    '../_base_/models/resnet18-small_digit-scenes.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    backbone=dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2)),
    decode_head=dict(
        type='mmups.SETRUPHead', in_channels=128, in_index=2, channels=64, num_classes=5,
        num_convs=4, up_scale=2, kernel_size=3, dropout_ratio=0.1, norm_cfg=_base_.norm_cfg,
        align_corners=False, upsampler=_base_.upsampler,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
