# LDA-AQU, arXiv:2411.19585 (ACM MM 2024).
upsampler = dict(type='LDAAQU', reduction_factor=4, groups=2)
