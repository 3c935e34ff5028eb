# SAPA-B, arXiv:2209.12866 (NeurIPS 2022): embedded queries and keys.
upsampler = dict(type='SAPA', variant='base', embedding_dim=32)
