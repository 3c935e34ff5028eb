# FreqFusion, arXiv:2408.12879 (TPAMI 2024): 8 groups of points, for Faster R-CNN with ResNet-101.
upsampler = dict(type='FreqFusion', compressed_channels=64, groups=8)
