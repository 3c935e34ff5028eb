# DLU, arXiv:2410.22139: CARAFE with its kernels sampled from a small space.
upsampler = dict(type='DLU', compressed_channels=64, up_kernel=5)
