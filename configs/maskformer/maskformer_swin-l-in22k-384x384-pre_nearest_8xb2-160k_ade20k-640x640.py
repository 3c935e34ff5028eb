_base_ = [
    '../_base_/models/maskformer_swin-l-in22k-384x384-pre_8xb2-160k_ade20k-640x640.py',
    '../_base_/upsamplers/nearest.py'
]
model = dict(
    decode_head=dict(
        pixel_decoder=dict(type='mmups.PixelDecoder', upsampler=_base_.upsampler)))
