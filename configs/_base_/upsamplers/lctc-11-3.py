# LCTC, arXiv:2311.17524 (ECCV 2024): 11x11 kernel beside a 3x3 one.
upsampler = dict(type='LCTC', kernel_size=11, small_kernel_size=3)
