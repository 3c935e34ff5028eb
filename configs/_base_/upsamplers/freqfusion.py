# FreqFusion, arXiv:2408.12879 (TPAMI 2024): the one for Faster and Mask R-CNN with ResNet-50.
upsampler = dict(type='FreqFusion', compressed_channels=64, groups=4)
