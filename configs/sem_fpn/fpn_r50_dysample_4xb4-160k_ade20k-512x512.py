_base_ = [
    'mmseg::sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    neck=dict(type='mmups.SegFPN', upsampler=_base_.upsampler),
    decode_head=dict(type='mmups.FPNHead', upsampler=_base_.upsampler))
