# A thin ResNet-18, from scratch, under whatever head: small enough for DigitScenes on a CPU.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(128, 128)),
    backbone=dict(
        type='ResNet', depth=18, base_channels=32, num_stages=4, out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg, style='pytorch'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
