# Depthwise transposed convolution, kernel 3: the small baseline of LCTC, arXiv:2311.17524.
upsampler = dict(type='LCTC', kernel_size=3, small_kernel_size=None)
