# IndexNet, arXiv:1908.00672 (ICCV 2019): holistic, nonlinear, context, as the tables count.
upsampler = dict(type='IndexNet', mode='hin', use_nonlinear=True, use_context=True)
