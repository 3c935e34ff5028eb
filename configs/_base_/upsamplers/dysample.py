# DySample, arXiv:2308.15085 (ICCV 2023): static scope, linear then pixel shuffle.
upsampler = dict(type='DySample', style='lp', groups=4, dyscope=False)
