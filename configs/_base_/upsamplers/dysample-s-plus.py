# DySample, arXiv:2308.15085 (ICCV 2023): DySample-S+, the same with dynamic scope.
upsampler = dict(type='DySample', style='pl', groups=8, dyscope=True)
