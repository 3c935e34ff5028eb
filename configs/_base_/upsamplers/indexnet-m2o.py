# IndexNet, arXiv:1908.00672 (ICCV 2019): many-to-one, linear, 2x2, as in the authors' log.
upsampler = dict(type='IndexNet', mode='m2o', use_nonlinear=False, use_context=False)
