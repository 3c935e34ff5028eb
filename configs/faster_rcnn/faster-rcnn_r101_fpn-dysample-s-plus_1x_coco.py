_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r101_fpn_1x_coco.py',
    '../_base_/upsamplers/dysample-s-plus.py'
]
model = dict(neck=dict(type='mmups.FPN', upsampler=_base_.upsampler))
