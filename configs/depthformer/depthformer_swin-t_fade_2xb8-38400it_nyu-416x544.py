_base_ = [
    '../_base_/models/depthformer_swin-t_2xb8-38400it_nyu-416x544.py',
    '../_base_/upsamplers/fade.py'
]
model = dict(decode_head=dict(type='mmups.DenseDepthHead', upsampler=_base_.upsampler))
