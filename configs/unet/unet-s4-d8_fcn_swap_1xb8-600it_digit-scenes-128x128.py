# mmseg's own classes, for tools/swap.py: a thin UNet that learns from scratch on a CPU.
_base_ = [
    'mmseg::_base_/models/fcn_unet_s5-d16.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py'
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        base_channels=16, num_stages=4, strides=(1, ) * 4, enc_num_convs=(2, ) * 4,
        dec_num_convs=(2, ) * 3, downsamples=(True, ) * 3, enc_dilations=(1, ) * 4,
        dec_dilations=(1, ) * 3, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=16, in_index=3, channels=16, num_classes=5, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_channels=32, in_index=2, channels=16, num_classes=5, norm_cfg=norm_cfg),
    test_cfg=dict(_delete_=True, mode='whole'))
