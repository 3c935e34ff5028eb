_base_ = [
    '../_base_/models/mask-rcnn_r18-small_fpn.py', 'mmdet::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_panoptic_128x128.py',
    '../_base_/schedules/digit_scenes_det.py', '../_base_/upsamplers/dysample.py'
]
model = dict(
    type='PanopticFPN',
    data_preprocessor=dict(pad_seg=True),
    neck=dict(type='mmups.FPN', upsampler=_base_.upsampler),
    semantic_head=dict(
        type='mmups.PanopticFPNHead', upsampler=_base_.upsampler, num_things_classes=1,
        num_stuff_classes=4, in_channels=64, inner_channels=64, start_level=0, end_level=4,
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True), conv_cfg=None,
        loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5)),
    panoptic_fusion_head=dict(
        type='HeuristicFusionHead', num_things_classes=1, num_stuff_classes=4),
    test_cfg=dict(
        rcnn=dict(score_thr=0.6, nms=dict(class_agnostic=True)),
        panoptic=dict(mask_overlap=0.5, stuff_area_limit=64)))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
