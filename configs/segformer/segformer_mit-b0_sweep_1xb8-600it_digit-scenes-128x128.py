# UPSAMPLER names a fragment of ../_base_/upsamplers: UPSAMPLER=carafe python tools/train.py ...
_base_ = [
    '../_base_/models/segformer_mit-b0_digit-scenes.py', 'mmseg::_base_/default_runtime.py',
    '../_base_/datasets/digit_scenes_seg_128x128.py', '../_base_/schedules/digit_scenes_seg.py',
    '../_base_/upsamplers/{{$UPSAMPLER:dysample}}.py'
]
model = dict(decode_head=dict(type='mmups.SegformerHead', upsampler=_base_.upsampler))
