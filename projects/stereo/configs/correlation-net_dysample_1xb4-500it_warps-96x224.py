_base_ = ['_base_/correlation-net_1xb4-500it_warps-96x224.py',
          'mmups::_base_/upsamplers/dysample.py']
model = dict(upsampler=_base_.upsampler)
