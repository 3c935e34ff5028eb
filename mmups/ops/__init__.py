"""Tensors in, tensors out: no state, no registry, no configuration."""
from .fit import fit_size, is_recording
from .sampling import sample_dynamic
from .shuffle import pixel_shuffle

__all__ = ['fit_size', 'is_recording', 'pixel_shuffle', 'sample_dynamic']
