# DySample, arXiv:2308.15085 (ICCV 2023): DySample+, dynamic scope.
upsampler = dict(type='DySample', style='lp', groups=4, dyscope=True)
