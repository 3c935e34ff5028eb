# Depthwise transposed convolution, kernel 2: the UNet baseline of LCTC, arXiv:2311.17524.
upsampler = dict(type='Deconv', kernel_size=2, groups=None)
