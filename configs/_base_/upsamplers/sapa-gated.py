# SAPA-G, arXiv:2209.12866 (NeurIPS 2022): queries gated between guide and map.
upsampler = dict(type='SAPA', variant='gated', embedding_dim=32)
