_base_ = [
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_ade20k-512x512.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(decode_head=dict(type='mmups.DepthwiseSeparableASPPHead', upsampler=_base_.upsampler))
