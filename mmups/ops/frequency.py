"""Resampling without aliases: the spectrum of a map, padded with zeros or cut.

A finite map has a spectrum of as many frequencies. More pixels are more frequencies, and the added
ones are zero: no replica of the old spectrum is left in the new one, and every old frequency keeps
its amplitude. Both transforms and the padding between them are linear and act on rows and columns
apart, so they are two matrix products here. That is exact on every size and in every export, where
FFTs are not; and a map of features is small enough for it.

Convention: pixel i of a row covers the unit interval around i + 0.5 (``align_corners=False``).
"""
import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from .fit import is_recording


def zero_pad_matrix(size: int, scale_factor: int = 2, corner_aligned: bool = False,
                    mirrored: bool = True, device=None, dtype: torch.dtype = torch.float32
                    ) -> Tensor:
    """The matrix that brings a row of ``size`` pixels to ``scale_factor`` times as many.

    It is the transform of the row, padded with zeros and transformed back; the frequency at
    Nyquist's limit is halved between its two signs, as a real result needs it. Its rows sum to 1.

    Args:
        size: Pixels n of a row.
        scale_factor: s.
        corner_aligned: Fine pixel s*i lies on coarse pixel i, as in the plain transform; False:
            at half-pixel centres, as in bilinear interpolation with ``align_corners=False``.
        mirrored: The row goes on as its mirror image on either side, the outermost pixel repeated:
            period 2n, without a jump. False: it repeats itself, period n.
        device: Where to make it.
        dtype: Floating point.

    Returns:
        Tensor of shape (s*n, n).

    >>> zero_pad_matrix(4, corner_aligned=True, mirrored=False)[::2].allclose(torch.eye(4))
    True
    """
    fine = torch.arange(size * scale_factor, device=device).unsqueeze(1)
    coarse = torch.arange(size, device=device)
    cell, phase = fine // scale_factor, (fine % scale_factor).to(dtype) / scale_factor
    if not corner_aligned:
        phase = phase - (scale_factor - 1) / (2 * scale_factor)
    period = 2 * size if mirrored else size
    matrix = _periodic_sinc((cell - coarse).to(dtype), phase, period)
    if mirrored:
        matrix = matrix + _periodic_sinc((cell + coarse + 1).to(dtype), phase, period)
    return matrix


def _periodic_sinc(cells: Tensor, phase: Tensor, period: int) -> Tensor:
    """Sum of the cosines of all frequencies of ``period`` pixels, divided by it (Dirichlet).

    Args:
        cells: Whole pixels between a fine pixel and a coarse one.
        phase: What comes on top, at most one pixel.
        period: Even or odd; an even one has a frequency at Nyquist's limit, of half the weight.
    """
    # The sine of a large angle is not precise in float32: take the nearest of the repeated pixels,
    # and sin(pi * (cells + phase)) = (-1)^cells * sin(pi * phase).
    cells = cells - period * torch.round(cells / period)
    sine = (1 - 2 * (cells % 2)) * torch.sin(math.pi * phase)
    distance = cells + phase
    angle = math.pi / period * distance
    zero = distance == 0
    kernel = sine / (period * torch.sin(torch.where(zero, torch.ones_like(angle), angle)))
    even = 1 - period % 2  # a number, as the period may be known at run time only
    kernel = kernel * (1 - even * (1 - torch.cos(angle)))
    return torch.where(zero, torch.ones_like(kernel), kernel)


def zero_pad_spectrum(x: Tensor, scale_factor: int = 2, corner_aligned: bool = False,
                      mirrored: bool = True) -> Tensor:
    """Upsample ``x`` by padding its spectrum with zeros.

    Args:
        x: (N, C, h, w).
        scale_factor: s.
        corner_aligned: As in :func:`zero_pad_matrix`.
        mirrored: As in :func:`zero_pad_matrix`.

    Returns:
        Tensor of shape (N, C, s*h, s*w), float32 at least.

    >>> zero_pad_spectrum(torch.ones(1, 8, 5, 6)).allclose(torch.ones(1, 8, 10, 12))
    True
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    return _resample(x, *(
        zero_pad_matrix(size, scale_factor, corner_aligned, mirrored, x.device, dtype)
        for size in x.shape[-2:]))


def crop_spectrum(x: Tensor, scale_factor: int = 2) -> Tensor:
    """Downsample ``x`` by keeping the lowest frequencies, those that the coarse grid can hold.

    FrequencyLowCut pooling (arXiv:2204.00491). Its matrix is that of :func:`zero_pad_spectrum`
    with ``corner_aligned=True, mirrored=False``, transposed and divided by s, and takes back what
    that does: coarse pixel i lies on fine pixel s*i.

    Args:
        x: (N, C, s*h, s*w), read as one period of an endless map.
        scale_factor: s.

    Returns:
        Tensor of shape (N, C, h, w), float32 at least.

    Raises:
        ValueError: A side is no multiple of s.

    >>> crop_spectrum(torch.ones(1, 8, 10, 12)).allclose(torch.ones(1, 8, 5, 6))
    True
    """
    if not is_recording() and any(size % scale_factor for size in x.shape[-2:]):
        raise ValueError(f'a map of {tuple(x.shape[-2:])} has no grid that is {scale_factor} times '
                         'coarser; pad it')
    dtype = torch.promote_types(x.dtype, torch.float32)
    return _resample(x, *(
        zero_pad_matrix(size // scale_factor, scale_factor, True, False, x.device, dtype).t()
        / scale_factor for size in x.shape[-2:]))


def _resample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Products with matrices (new size, size) along both axes, in their precision."""
    with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
        # Linear layers: the strides of a matrix product from the left bind sizes in an export.
        tall = F.linear(x.to(rows.dtype).transpose(-2, -1), rows).transpose(-2, -1)
        return F.linear(tall, columns)
