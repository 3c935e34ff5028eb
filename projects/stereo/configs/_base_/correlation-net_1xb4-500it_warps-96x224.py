"""Everything but the upsampler: 500 iterations on views made from photographs; validation on views
from other parts of them, test on the Middlebury pair that scikit-image carries."""
custom_imports = dict(imports=['projects.stereo.stereo'], allow_failed_imports=False)
model = dict(type='stereo.CorrelationNet', max_disparity=64)

max_iters = 500
train_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    dataset=dict(type='stereo.PhotoWarps', split='train', length=4 * max_iters, size=(96, 224),
                 max_disparity=64),
    collate_fn=dict(type='default_collate'), sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    dataset=dict(type='stereo.PhotoWarps', split='val', length=64, size=(96, 224),
                 max_disparity=64),
    collate_fn=dict(type='default_collate'), sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = dict(
    batch_size=1, num_workers=0, dataset=dict(type='stereo.Motorcycle'),
    collate_fn=dict(type='default_collate'), sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = test_evaluator = dict(type='stereo.DisparityMetric')

train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0))
param_scheduler = dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_iters, by_epoch=False)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=max_iters))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
