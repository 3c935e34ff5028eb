# Semantic FPN: the pyramid's steps of two, and those of the head that bring all levels to 1/4.
_base_ = [
    '../_base_/models/resnet18-small_digit-scenes.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    neck=dict(
        type='mmups.SegFPN', in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4,
        upsampler=_base_.upsampler),
    decode_head=dict(
        type='mmups.FPNHead', in_channels=[64, 64, 64, 64], in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32], channels=64, num_classes=5, dropout_ratio=0.1,
        norm_cfg=_base_.norm_cfg, align_corners=False, upsampler=_base_.upsampler,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
