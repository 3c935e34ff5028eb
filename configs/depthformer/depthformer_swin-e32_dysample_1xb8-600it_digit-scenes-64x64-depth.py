# DepthFormer in small, from scratch: narrow stages of two blocks, depths by a sigmoid.
_base_ = [
    'mmseg::_base_/default_runtime.py', '../_base_/datasets/digit_scenes_depth_64x64.py',
    '../_base_/schedules/digit_scenes_seg.py', '../_base_/upsamplers/dysample.py'
]
channels = [32, 32, 64, 128, 256]
model = dict(
    type='DepthEstimator',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_val=0, seg_pad_val=0, size=(64, 64)),
    backbone=dict(
        type='mmups.DepthFormerSwin', stem_channels=32, embed_dims=32, depths=[2, 2, 2, 2],
        num_heads=[1, 2, 4, 8], window_size=4),
    neck=dict(
        type='mmups.HAHIHeteroNeck', in_channels=channels, embedding_dim=64, num_heads=4,
        num_points=4),
    decode_head=dict(
        type='mmups.DenseDepthHead', in_channels=channels, min_depth=1e-3, max_depth=10.0,
        scale_up=True, upsampler=_base_.upsampler, loss_decode=dict(type='mmups.SigLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
