_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    '../_base_/upsamplers/resfu.py'
]
model = dict(neck=dict(type='mmups.FPN', upsampler=_base_.upsampler))
