_base_ = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    '../_base_/upsamplers/lda-aqu.py'
]
model = dict(neck=dict(type='mmups.FPN', upsampler=_base_.upsampler))
