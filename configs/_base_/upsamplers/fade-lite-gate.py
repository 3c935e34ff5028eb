# FADE-Lite, arXiv:2407.13500, with its gate.
upsampler = dict(type='FADELite', gating=True)
