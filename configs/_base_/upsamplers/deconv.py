# Transposed convolution, arXiv:1603.07285; kernel 3 as in Table 4 of arXiv:2308.15085.
upsampler = dict(type='Deconv', kernel_size=3)
