_base_ = [
    '../_base_/models/mask-rcnn_r18-small_fpn.py', 'mmdet::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_det_128x128.py', '../_base_/schedules/digit_scenes_det.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    neck=dict(type='mmups.FPN', upsampler=_base_.upsampler),
    roi_head=dict(mask_head=dict(type='mmups.FCNMaskHead', upsampler=_base_.upsampler)))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
