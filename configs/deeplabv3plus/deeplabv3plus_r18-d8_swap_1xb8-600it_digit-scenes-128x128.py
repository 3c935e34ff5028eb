# mmseg's own classes, for tools/swap.py: a thin DeepLabV3+ that learns from scratch on a CPU.
_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(depth=18, base_channels=32, norm_cfg=norm_cfg),
    decode_head=dict(
        in_channels=256, channels=64, dilations=(1, 3, 6, 9), c1_in_channels=32, c1_channels=16,
        num_classes=5, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_channels=128, channels=32, num_classes=5, norm_cfg=norm_cfg))
