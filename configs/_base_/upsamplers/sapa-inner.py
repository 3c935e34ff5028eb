# SAPA-I, arXiv:2209.12866 (NeurIPS 2022): inner products, no parameters.
upsampler = dict(type='SAPA', variant='inner')
