# LDA-AQU (arXiv:2411.19585, ACM MM 2024) with queries and keys of C/16 channels.
upsampler = dict(type='LDAAQU', reduction_factor=16, groups=2)
