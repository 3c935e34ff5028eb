# DySample (arXiv:2308.15085, ICCV 2023) whose points are learned and do not look at the content.
upsampler = dict(type='DySample', static=True, groups=4)
