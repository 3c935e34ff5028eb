# GoPro with training patches of 128 pixels.
_base_ = 'gopro.py'
train_pipeline = [
    dict(type='mmups.LoadImagePair'),
    dict(type='mmups.PairedRandomCrop', crop_size=128),
    dict(type='mmups.PairedFlipTranspose'),
    dict(type='mmups.PackRestorationInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
