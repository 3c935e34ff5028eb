# As setr-up_r18: no fine map of the backbone reaches the decoder. Here methods with a guide get one
# of the image, and every method takes one step from 1/16 to 1/4.
_base_ = [
    '../_base_/models/resnet18-small_digit-scenes.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/sapa-base.py'
]
model = dict(
    backbone=dict(
        type='mmups.WithImage', host='mmseg.ResNet', num_stages=3, strides=(1, 2, 2),
        dilations=(1, 1, 1), out_indices=(2, )),
    neck=dict(type='mmups.ImageGuidedNeck', in_channels=128, upsampler=_base_.upsampler),
    decode_head=dict(
        type='FCNHead', in_channels=128, in_index=0, channels=64, num_convs=2, concat_input=False,
        num_classes=5, dropout_ratio=0.1, norm_cfg=_base_.norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
