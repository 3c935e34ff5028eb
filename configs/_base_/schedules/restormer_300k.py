# Restormer's for deblurring (arXiv:2111.09881), for 8 GPUs with 8 patches each: 92,000 iterations
# at 3e-4, and a cosine from there. The authors enlarge the patches in six steps from 128 to 384
# pixels while batches shrink, which a config of mmengine does not express: this one keeps the
# patches and batches of their first step throughout. The norm that gradients are clipped to is the
# authors' as far as is known.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300000, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    clip_grad=dict(max_norm=0.01))
param_scheduler = dict(
    type='CosineAnnealingLR', begin=92000, end=300000, eta_min=1e-6, by_epoch=False)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=20000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'))
auto_scale_lr = dict(enable=False, base_batch_size=64)
