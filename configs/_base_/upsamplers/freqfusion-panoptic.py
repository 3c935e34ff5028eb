# FreqFusion, arXiv:2408.12879 (TPAMI 2024): without norms before the points, for Panoptic FPN.
upsampler = dict(type='FreqFusion', compressed_channels=64, groups=4, norm=False)
