"""Similarity of fine queries with coarse keys, in a window or at moving points.

Dimension letters: N batch, D embedding, G groups, P points, K window size, s scale, h and w coarse
sizes. Coordinates are in coarse pixels from the centre of the coarse pixel, x before y. What lies
outside the map counts as zero: a zero logit that takes part in a softmax.
"""
import torch
from torch import Tensor

from .backend import implementation


def query_key(query: Tensor, key: Tensor, kernel_size: int, scale_factor: int = 2) -> Tensor:
    """Inner products of each fine pixel's query with the keys in its coarse window.

    The operator of SAPA (Lu et al., NeurIPS 2022, arXiv:2209.12866), without scaling.

    Args:
        query: (N, D, s*h, s*w).
        key: (N, D, h, w).
        kernel_size: K, odd.
        scale_factor: s.

    Returns:
        Logits (N, K*K*s*s, h, w), float32 at least, in the order of :func:`reassemble`'s weights.

    >>> query_key(torch.rand(1, 8, 10, 12), torch.rand(1, 8, 5, 6), kernel_size=3).shape
    torch.Size([1, 36, 5, 6])
    """
    return implementation('query_key', key)(query, key, kernel_size, scale_factor)


def deform_query_key(query: Tensor, key: Tensor, offset: Tensor, groups: int,
                     scale_factor: int = 2) -> Tensor:
    """Inner products of each fine pixel's query with keys sampled at its own points.

    Args:
        query: (N, G*D, s*h, s*w).
        key: (N, G*D, h, w).
        offset: (N, G*P*2, s*h, s*w), channel ``(g*P + p)*2 + coordinate``.
        groups: G.
        scale_factor: s.

    Returns:
        Logits (N, G, P, s*h, s*w), float32 at least.

    >>> query, key = torch.rand(1, 8, 10, 12), torch.rand(1, 8, 5, 6)
    >>> deform_query_key(query, key, torch.zeros(1, 2 * 9 * 2, 10, 12), groups=2).shape
    torch.Size([1, 2, 9, 10, 12])
    """
    return implementation('deform_query_key', key)(query, key, offset, groups,
                                                   scale_factor)


def deform_attend(attention: Tensor, value: Tensor, offset: Tensor,
                  scale_factor: int = 2) -> Tensor:
    """Weighted sums of values sampled at each fine pixel's own points.

    Args:
        attention: (N, G, P, s*h, s*w).
        value: (N, C, h, w); contiguous blocks of C/G channels share their points.
        offset: As in :func:`deform_query_key`.
        scale_factor: s.

    Returns:
        Tensor of shape (N, C, s*h, s*w), of value's dtype.

    >>> attention, offset = torch.rand(1, 2, 9, 10, 12), torch.zeros(1, 2 * 9 * 2, 10, 12)
    >>> deform_attend(attention, torch.rand(1, 8, 5, 6), offset).shape
    torch.Size([1, 8, 10, 12])
    """
    return implementation('deform_attend', value)(attention, value, offset, scale_factor)


def aligned_points(shift: Tensor, kernel_size: int, scale_factor: int = 2) -> Tensor:
    """Moved windows of fine pixels, as points that :func:`deform_query_key` takes.

    The geometry of LDA-AQU (Du et al., ACM MM 2024, arXiv:2411.19585): tap (a, b) of fine pixel
    (Y, X) is at row Y + a - K//2 + shift_y and column X + b - K//2 + shift_x of the fine map, whose
    corner pixels have their centres on those of the coarse map (``align_corners=True``). Fine row
    P is coarse row P*(h-1)/(s*h-1).

    Args:
        shift: (N, G*K*K*2, s*h, s*w) in fine pixels, channel ``(g*K*K + tap)*2 + coordinate``; here
            coordinate 0 is y.
        kernel_size: K, odd.
        scale_factor: s.

    Returns:
        Tensor of shape (N, G*K*K*2, s*h, s*w), float32 at least: half precision cannot tell pixels
        apart beyond 2048.

    >>> aligned_points(torch.zeros(1, 9 * 2, 10, 12), kernel_size=3).shape
    torch.Size([1, 18, 10, 12])
    """
    k, s = kernel_size, scale_factor
    dtype = torch.promote_types(shift.dtype, torch.float32)
    height, width = shift.shape[-2:]  # a trace takes those behind the next line for constant
    yx = shift.to(dtype).unflatten(1, (-1, k, k, 2))  # (N, G, K, K, 2, s*h, s*w)
    taps = torch.arange(k, device=shift.device, dtype=dtype) - k // 2
    rows, columns = _aligned(height, taps, s), _aligned(width, taps, s)
    y = _ratio_times(yx[:, :, :, :, 0], height, s) + rows[:, None, :, None]
    x = _ratio_times(yx[:, :, :, :, 1], width, s) + columns[:, None]
    return torch.stack((x, y), dim=4).flatten(1, 4)


def _aligned(length: int, taps: Tensor, scale_factor: int) -> Tensor:
    """Along one axis: where the taps of each fine pixel are, from its coarse pixel, (K, length)."""
    fine = torch.arange(length, device=taps.device, dtype=taps.dtype)
    cells = torch.div(fine, scale_factor, rounding_mode='floor')
    return _ratio_times(fine + taps.unsqueeze(1), length, scale_factor) - cells


def _ratio_times(x: Tensor, length: int, scale_factor: int) -> Tensor:
    """Coarse pixels for fine ones, (h-1)/(s*h-1) each; of a map that stays as it is, 1."""
    if scale_factor == 1:
        return x
    return x * ((length // scale_factor - 1) / (length - 1))
