# GoPro (Nah et al., CVPR 2017): 2,103 training and 1,111 test pairs of 1280 x 720 pixels, as
# data/gopro/{train,test}/{blur,sharp}/*.png. docs/restoration.md says how to lay it out.
dataset_type = 'mmups.PairedImageDataset'
data_root = 'data/gopro/'
train_pipeline = [
    dict(type='mmups.LoadImagePair'),
    dict(type='mmups.PairedRandomCrop', crop_size=256),
    dict(type='mmups.PairedFlipTranspose'),
    dict(type='mmups.PackRestorationInputs')
]
test_pipeline = [dict(type='mmups.LoadImagePair'), dict(type='mmups.PackRestorationInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img='train/blur', gt='train/sharp'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
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
