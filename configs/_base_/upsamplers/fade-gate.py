# FADE, arXiv:2207.10392 (ECCV 2022), with its gate.
upsampler = dict(type='FADE', gating=True)
