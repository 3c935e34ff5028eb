_base_ = [
    'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    decode_head=dict(
        pixel_decoder=dict(type='mmups.MSDeformAttnPixelDecoder', upsampler=_base_.upsampler)))
