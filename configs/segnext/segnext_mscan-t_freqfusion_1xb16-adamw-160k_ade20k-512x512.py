_base_ = [
    'mmseg::segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
    '../_base_/upsamplers/freqfusion.py'
]
model = dict(decode_head=dict(type='mmups.LightHamHead', upsampler=_base_.upsampler))
