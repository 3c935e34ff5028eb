# Small enough to learn DigitScenes from scratch on a CPU: thin ResNet-18, 64 channels, 20 queries.
_base_ = [
    'mmdet::_base_/default_runtime.py', '../_base_/datasets/digit_scenes_panoptic_128x128.py',
    '../_base_/schedules/digit_scenes_det.py', '../_base_/upsamplers/dysample.py'
]
num_things_classes = 1
num_stuff_classes = 4
num_classes = num_things_classes + num_stuff_classes
attention = dict(embed_dims=64, num_heads=4, dropout=0.0, batch_first=True)
ffn = dict(
    embed_dims=64, feedforward_channels=128, num_fcs=2, ffn_drop=0.0,
    act_cfg=dict(type='ReLU', inplace=True))
model = dict(
    type='Mask2Former',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_size_divisor=32, pad_mask=True, pad_seg=True, seg_pad_value=255),
    backbone=dict(
        type='ResNet', depth=18, base_channels=32, num_stages=4, out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN'), style='pytorch'),
    panoptic_head=dict(
        type='Mask2FormerHead', in_channels=[32, 64, 128, 256], strides=[4, 8, 16, 32],
        feat_channels=64, out_channels=64, num_things_classes=num_things_classes,
        num_stuff_classes=num_stuff_classes, num_queries=20, num_transformer_feat_level=3,
        pixel_decoder=dict(
            type='mmups.MSDeformAttnPixelDecoder', upsampler=_base_.upsampler, num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32), act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=1,
                layer_cfg=dict(
                    self_attn_cfg=dict(num_levels=3, num_points=4, **attention), ffn_cfg=ffn)),
            positional_encoding=dict(num_feats=32, normalize=True)),
        enforce_decoder_input_project=False,
        positional_encoding=dict(num_feats=32, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True, num_layers=2,
            layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0, reduction='mean',
            class_weight=[1.0] * num_classes + [0.1]),
        loss_mask=dict(
            type='CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0),
        loss_dice=dict(
            type='DiceLoss', use_sigmoid=True, activate=True, reduction='mean', naive_dice=True,
            eps=1.0, loss_weight=5.0)),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead', num_things_classes=num_things_classes,
        num_stuff_classes=num_stuff_classes),
    train_cfg=dict(
        num_points=1024, oversample_ratio=3.0, importance_sample_ratio=0.75,
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='ClassificationCost', weight=2.0),
                dict(type='CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                dict(type='DiceCost', weight=5.0, pred_act=True, eps=1.0)
            ]),
        sampler=dict(type='MaskPseudoSampler')),
    test_cfg=dict(
        panoptic_on=True, semantic_on=False, instance_on=False, max_per_image=20, iou_thr=0.8,
        filter_low_score=True))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
