"""Tensors in, tensors out: no state, no registry, no configuration."""
from .backend import current_backend, use_backend
from .fit import fit_size, is_recording
from .frequency import crop_spectrum, zero_pad_matrix, zero_pad_spectrum
from .guided_filter import guided_filter
from .local_attention import (
    aligned_points,
    clamped_attention,
    deform_attend,
    deform_query_key,
    neighbour_similarity,
    query_key,
)
from .neighbours import attend_neighbours
from .reassemble import reassemble, windows_of
from .sampling import bilinear_positions, sample_dynamic
from .shuffle import pixel_shuffle, pixel_unshuffle
from .softmax import softmax, window_softmax
from .transposed import depthwise_transposed

__all__ = ['aligned_points', 'attend_neighbours', 'bilinear_positions', 'clamped_attention',
           'crop_spectrum', 'current_backend', 'deform_attend', 'deform_query_key',
           'depthwise_transposed', 'fit_size', 'guided_filter', 'is_recording',
           'neighbour_similarity', 'pixel_shuffle', 'pixel_unshuffle', 'query_key', 'reassemble',
           'sample_dynamic', 'softmax', 'use_backend', 'window_softmax', 'windows_of',
           'zero_pad_matrix', 'zero_pad_spectrum']
