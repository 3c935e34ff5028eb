# LCTC, arXiv:2311.17524 (ECCV 2024): 7x7 kernel beside a 3x3 one.
upsampler = dict(type='LCTC', kernel_size=7, small_kernel_size=3)
