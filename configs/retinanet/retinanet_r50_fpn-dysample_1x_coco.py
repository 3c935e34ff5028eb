_base_ = [
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(neck=dict(type='mmups.FPN', upsampler=_base_.upsampler))
