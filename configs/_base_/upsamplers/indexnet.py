# IndexNet, arXiv:1908.00672 (ICCV 2019): holistic, nonlinear, with context; the parameters and FLOPs of the tables.
upsampler = dict(type='IndexNet', mode='hin', use_nonlinear=True, use_context=True)
