_base_ = [
    'mmseg::segmenter/segmenter_vit-s_fcn_8xb1-160k_ade20k-512x512.py',
    '../_base_/upsamplers/resfu.py'
]
model = dict(
    backbone=dict(type='mmups.WithImage', host='mmseg.VisionTransformer'),
    neck=dict(type='mmups.ImageGuidedNeck', in_channels=384, upsampler=_base_.upsampler))
# The scores learn 500 times as fast in the authors' code.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'_scores': dict(lr_mult=500)}))
