_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg14_128x128.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/dysample.py'
]
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    decode_head=dict(
        type='mmups.SegformerHead', upsampler=_base_.upsampler, num_classes=14,
        norm_cfg=dict(type='BN', requires_grad=True)))
