_base_ = [
    '../_base_/models/nafnet_w64.py', '../_base_/restoration_runtime.py',
    '../_base_/datasets/gopro.py', '../_base_/schedules/nafnet_400k.py'
]
