_base_ = [
    'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    '../_base_/upsamplers/dlu.py'
]
model = dict(neck=dict(type='mmups.FPN', upsampler=_base_.upsampler))
