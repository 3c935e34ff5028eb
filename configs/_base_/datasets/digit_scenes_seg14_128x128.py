# Made by: python tools/dataset_converters/digit_scenes.py data/digit_scenes_14 --classes 14
_base_ = './digit_scenes_seg_128x128.py'
dataset_type = 'mmups.DigitScenes14SegDataset'
data_root = 'data/digit_scenes_14/'
# without RandomFlip: a mirrored digit is none
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(128, 128), ratio_range=(1.0, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
