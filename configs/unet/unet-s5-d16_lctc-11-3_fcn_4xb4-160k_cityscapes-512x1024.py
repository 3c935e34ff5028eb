_base_ = [
    'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
    '../_base_/upsamplers/lctc-11-3.py'
]
model = dict(backbone=dict(type='mmups.UNet', upsampler=_base_.upsampler))
