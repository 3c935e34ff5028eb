# ReSFU, arXiv:2407.02283: any ratio in one step.
upsampler = dict(type='ReSFU', embedding_dim=32)
