# LCTC, arXiv:2311.17524 (ECCV 2024): 31x31 kernel beside a 3x3 one.
upsampler = dict(type='LCTC', kernel_size=31, small_kernel_size=3)
