# From scratch on two CPU cores: one cycle over 8 epochs, validation at the half.
max_epochs = 8
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=10.0))
param_scheduler = dict(
    type='OneCycleLR', eta_max=1e-3, total_steps=max_epochs, by_epoch=True,
    convert_to_iter_based=True)
randomness = dict(seed=0)
