_base_ = [
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    '../_base_/upsamplers/lda-aqu.py'
]
# The pyramid of the DySample and CARAFE papers: P6 takes part in the top-down path. Compare with
# mmdet's FPN_CARAFE, not with its FPN.
model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    neck=dict(type='mmups.FPN', upsampler=_base_.upsampler, top_down_extra_levels=True))
