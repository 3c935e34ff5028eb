# Small enough to learn DigitScenes from scratch on a CPU; 5 classes.
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    decode_head=dict(num_classes=5, norm_cfg=dict(type='BN', requires_grad=True)))
