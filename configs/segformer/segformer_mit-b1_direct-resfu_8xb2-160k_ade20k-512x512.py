_base_ = [
    'mmseg::segformer/segformer_mit-b1_8xb2-160k_ade20k-512x512.py',
    '../_base_/upsamplers/resfu.py'
]
# As the authors have it: each map to 1/4 in one step, guided by the embedded 1/4 map.
model = dict(decode_head=dict(type='mmups.SegformerHead', upsampler=_base_.upsampler, direct=True))
