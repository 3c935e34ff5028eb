# A2U, arXiv:2011.14288 (CVPR 2021).
upsampler = dict(type='A2U')
