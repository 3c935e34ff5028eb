_base_ = [
    'mmseg::segformer/segformer_mit-b1_8xb2-160k_ade20k-512x512.py',
    '../_base_/upsamplers/freqfusion.py'
]
model = dict(decode_head=dict(type='mmups.SegformerHead', upsampler=_base_.upsampler))
