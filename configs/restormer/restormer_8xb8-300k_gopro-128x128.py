_base_ = [
    '../_base_/models/restormer.py', '../_base_/restoration_runtime.py',
    '../_base_/datasets/gopro_128x128.py', '../_base_/schedules/restormer_300k.py'
]
