_base_ = [
    '../_base_/models/nafnet_w16.py', '../_base_/restoration_runtime.py',
    '../_base_/datasets/photo_blur.py', '../_base_/schedules/photos.py',
    '../_base_/upsamplers/lctc-7-3.py'
]
model = dict(generator=dict(upsampler=_base_.upsampler))
