_base_ = [
    '../_base_/models/nafnet_w16.py', '../_base_/restoration_runtime.py',
    '../_base_/datasets/photo_noise.py', '../_base_/schedules/photos.py'
]
