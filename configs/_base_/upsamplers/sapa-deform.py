# SAPA-D, arXiv:2307.08198: nine moving points.
upsampler = dict(type='SAPADeform', num_points=9, groups=4, embedding_dim=32)
