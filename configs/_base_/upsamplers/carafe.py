# CARAFE, arXiv:1905.02188 (ICCV 2019).
upsampler = dict(type='CARAFE', up_kernel=5, up_group=1, compressed_channels=64)
