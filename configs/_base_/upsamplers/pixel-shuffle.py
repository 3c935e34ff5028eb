# Sub-pixel convolution, arXiv:1609.05158 (CVPR 2016); kernel 3 as in arXiv:2308.15085.
upsampler = dict(type='PixelShuffle', kernel_size=3)
