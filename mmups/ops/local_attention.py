"""Similarity of fine queries with coarse keys, in a window or at moving points.

Dimension letters: N batch, D embedding, G groups, P points, K window size, s scale, h and w coarse
sizes. Coordinates are in coarse pixels from the centre of the coarse pixel, x before y. What lies
outside the map counts as zero: a zero logit that takes part in a softmax.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .reassemble import windows
from .shuffle import pixel_unshuffle


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
    dtype = torch.promote_types(query.dtype, torch.float32)
    n, d, h, w = key.shape
    queries = pixel_unshuffle(query.to(dtype), scale_factor)
    queries = queries.reshape(n, d, scale_factor**2, h, w)
    logits = [(queries * view).sum(dim=1)
              for view in windows(key.to(dtype).unsqueeze(2), kernel_size)]
    return torch.cat(logits, dim=1)


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
    n, c, fine_h, fine_w = query.shape
    dtype = torch.promote_types(query.dtype, torch.float32)
    queries = query.to(dtype).reshape(n * groups, c // groups, fine_h, fine_w)
    logits = [(queries * sampled).sum(dim=1)
              for sampled in _sample_points(key.to(dtype), offset, groups, scale_factor)]
    return torch.stack(logits, dim=1).reshape(n, groups, len(logits), fine_h, fine_w)


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
    n, groups, points, fine_h, fine_w = attention.shape
    dtype = torch.promote_types(value.dtype, torch.float32)
    weights = attention.to(dtype).reshape(n * groups, points, fine_h, fine_w)
    out = 0
    for p, sampled in enumerate(_sample_points(value.to(dtype), offset, groups, scale_factor)):
        out = out + weights[:, p:p + 1] * sampled
    return out.reshape(n, value.shape[1], fine_h, fine_w).to(value.dtype)


def _sample_points(x: Tensor, offset: Tensor, groups: int, scale_factor: int):
    """Maps (N*G, C/G, s*h, s*w) sampled bilinearly at point 0, 1, ... P-1 of each fine pixel."""
    n, c, h, w = x.shape
    s = scale_factor
    points = offset.shape[1] // (2 * groups)
    xy = offset.to(x.dtype).reshape(n * groups, points, 2, s * h, s * w)
    rows = torch.arange(h, device=x.device, dtype=x.dtype).unsqueeze(1) + 0.5
    columns = torch.arange(w, device=x.device, dtype=x.dtype).unsqueeze(1) + 0.5
    rows = rows.expand(h, s).reshape(s * h, 1)  # centre of the coarse pixel of each fine row
    columns = columns.expand(w, s).reshape(s * w)
    grid = torch.stack(((xy[:, :, 0] + columns) / w * 2 - 1, (xy[:, :, 1] + rows) / h * 2 - 1),
                       dim=-1)  # (N*G, P, s*h, s*w, 2)
    maps = x.reshape(n * groups, c // groups, h, w)
    for p in range(points):
        yield F.grid_sample(maps, grid[:, p], mode='bilinear', padding_mode='zeros',
                            align_corners=False)
