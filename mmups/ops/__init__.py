"""Tensors in, tensors out: no state, no registry, no configuration."""
from .fit import fit_size
from .sampling import sample_dynamic

__all__ = ['fit_size', 'sample_dynamic']
