# A shaking camera.
# Made by: python tools/dataset_converters/photos.py blur data/photo_blur
dataset_type = 'mmups.PairedImageDataset'
data_root = 'data/photo_blur/'
train_pipeline = [
    dict(type='mmups.LoadImagePair'),
    dict(type='mmups.PairedRandomCrop', crop_size=64),
    dict(type='mmups.PairedFlipTranspose'),
    dict(type='mmups.PackRestorationInputs')
]
test_pipeline = [dict(type='mmups.LoadImagePair'), dict(type='mmups.PackRestorationInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img='train/blur', gt='train/sharp'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img='test/blur', gt='test/sharp'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [dict(type='mmups.PSNR'), dict(type='mmups.SSIM')]
test_evaluator = val_evaluator
