_base_ = [
    '../_base_/models/restormer.py', '../_base_/restoration_runtime.py',
    '../_base_/datasets/gopro_128x128.py', '../_base_/schedules/restormer_300k.py',
    '../_base_/upsamplers/lctc-7-3.py'
]
model = dict(generator=dict(upsampler=_base_.upsampler))
