# FADE, arXiv:2207.10392 (ECCV 2022), without its gate, as the DySample paper compares it.
upsampler = dict(type='FADE', gating=False)
