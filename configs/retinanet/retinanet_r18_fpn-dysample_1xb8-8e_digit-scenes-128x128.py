# Small enough to learn DigitScenes from scratch on a CPU, as ../faster_rcnn.
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py', 'mmdet::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_det_128x128.py', '../_base_/schedules/digit_scenes_det.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    backbone=dict(
        depth=18, base_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(
        type='mmups.FPN', in_channels=[32, 64, 128, 256], out_channels=64, start_level=0,
        num_outs=5, add_extra_convs=False, upsampler=_base_.upsampler),
    bbox_head=dict(
        num_classes=1, in_channels=64, feat_channels=64, stacked_convs=2,
        anchor_generator=dict(octave_base_scale=2, strides=[4, 8, 16, 32, 64])),
    test_cfg=dict(max_per_img=50))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
val_evaluator = dict(metric='bbox')
test_evaluator = dict(metric='bbox')
