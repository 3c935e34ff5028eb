# DySample, arXiv:2308.15085 (ICCV 2023): DySample-S, pixel shuffle then linear.
upsampler = dict(type='DySample', style='pl', groups=8, dyscope=False)
