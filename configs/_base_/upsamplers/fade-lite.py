# FADE-Lite, arXiv:2407.13500.
upsampler = dict(type='FADELite', gating=False)
