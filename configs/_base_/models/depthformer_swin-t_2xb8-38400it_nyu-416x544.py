# DepthFormer with Swin-T on NYU Depth V2, with the recipe of the toolbox that the papers use.
# Source: Monocular-Depth-Estimation-Toolbox, https://arxiv.org/abs/2203.14211
_base_ = ['mmseg::_base_/default_runtime.py', '../datasets/nyu_416x544.py']
checkpoint = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_tiny_patch4_window7_224_20220317-1cdeb081.pth'  # noqa: E501
channels = [64, 96, 192, 384, 768]
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='DepthEstimator',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_val=0, seg_pad_val=0, size=(416, 544)),
    backbone=dict(
        type='mmups.DepthFormerSwin', embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24],
        window_size=7, drop_path_rate=0.3, conv_norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint)),
    neck=dict(type='mmups.HAHIHeteroNeck', in_channels=channels, norm_cfg=norm_cfg),
    decode_head=dict(
        type='mmups.DenseDepthHead', in_channels=channels, min_depth=1e-3, max_depth=10.0,
        loss_decode=dict(type='mmups.SigLoss')),
    train_cfg=dict(),
    # one window, the whole image, and its mirror image
    test_cfg=dict(mode='slide_flip', crop_size=(480, 640), stride=(480, 640)))

max_iters = 38400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(
        relative_position_bias_table=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))))
param_scheduler = [  # both from the first iteration on: the warm-up is a factor of the cosine
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=max_iters // 3, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-8, begin=0, end=max_iters, by_epoch=False)
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1600, max_keep_ckpts=2,
                    save_best='abs_rel', rule='less'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
