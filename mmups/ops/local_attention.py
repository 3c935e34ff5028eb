"""Similarity of fine queries with coarse keys, in a window or at moving points.

Dimension letters: N batch, D embedding, G groups, P points, K window size, s scale, h and w coarse
sizes. Coordinates are in coarse pixels from the centre of the coarse pixel, x before y. What lies
outside the map counts as zero: a zero logit that takes part in a softmax.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .backend import implementation
from .shuffle import pixel_shuffle, pixel_unshuffle
from .softmax import softmax


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


def neighbour_similarity(x: Tensor, dilation: int = 1) -> Tensor:
    """Cosine of the angle between each pixel's channels and those of its eight neighbours.

    Of FreqFusion (Chen et al., TPAMI 2024, arXiv:2408.12879), which looks two pixels away. A
    pixel of zeros has the similarity 0, as has a neighbour outside of the map.

    Args:
        x: (N, C, h, w).
        dilation: Distance d of the neighbours in rows and columns.

    Returns:
        Tensor of shape (N, 8, h, w) in [-1, 1], float32 at least; the neighbours in row-major
        order.

    >>> neighbour_similarity(torch.ones(1, 64, 2, 2))[0, :, 0, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    """
    h, w = x.shape[-2:]
    unit = F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1, eps=1e-8)
    padded = F.pad(unit, (dilation, ) * 4)
    shifts = [(row, column) for row in range(3) for column in range(3) if (row, column) != (1, 1)]
    return torch.stack([
        (unit * padded[..., row * dilation:row * dilation + h,
                       column * dilation:column * dilation + w]).sum(1)
        for row, column in shifts], dim=1)


def clamped_attention(query: Tensor, key: Tensor, value: Tensor, kernel_size: int, groups: int,
                      scale_factor: int = 2) -> Tensor:
    """Attention of each fine pixel to a window of the coarse map that stays inside of it.

    The window is centred on the pixel's coarse pixel, and shifted inward where it would reach
    beyond the border (neighbourhood attention, Hassani et al., arXiv:2204.07143). Where the map
    is smaller than K, it is as large as the largest odd number that fits.

    Args:
        query: (N, G*D, s*h, s*w).
        key: (N, G*D, h, w).
        value: (N, C, h, w); contiguous blocks of C/G channels share their weights.
        kernel_size: K, odd.
        groups: G, the heads, each with a softmax of its own over products of queries and keys,
            divided by the root of D.
        scale_factor: s.

    Returns:
        Tensor of shape (N, C, s*h, s*w) and of value's dtype; float32 at least inside.

    >>> query, key, value = torch.rand(1, 8, 6, 8), torch.rand(1, 8, 3, 4), torch.rand(1, 2, 3, 4)
    >>> clamped_attention(query, key, value, kernel_size=3, groups=2).shape
    torch.Size([1, 2, 6, 8])
    """
    n, c, h, w = value.shape
    g, s, d = groups, scale_factor, key.shape[1] // groups
    dtype = torch.promote_types(value.dtype, torch.float32)
    queries = pixel_unshuffle(query.to(dtype) / d**0.5, s).reshape(n, g, d, s * s, h, w)
    keys = key.to(dtype).reshape(n, g, d, 1, h, w)
    values = value.to(dtype).reshape(n, g, c // g, 1, h, w)
    (rows, row_taps), (columns, column_taps) = _clamped_windows(h, w, kernel_size, value.device)
    logits = torch.stack([(queries * view).sum(2) for view in _views(keys, rows, columns)], dim=2)
    inside = (row_taps.unsqueeze(1) & column_taps).reshape(1, 1, -1, 1, 1, 1)
    weights = softmax(torch.where(inside, logits, -torch.inf), dim=2)
    out = values.new_zeros((n, g, c // g, s * s, h, w))
    for tap, view in enumerate(_views(values, rows, columns)):
        out = torch.addcmul(out, view, weights[:, :, tap].unsqueeze(2))
    return pixel_shuffle(out.reshape(n, c * s * s, h, w), s).to(value.dtype)


def _clamped_windows(h: int, w: int, kernel_size: int, device: torch.device
                     ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """For each axis: (K, n) pixels of the taps of each coarse pixel, and (K, ) which taps there
    are. In tensors, so that a recorded graph takes maps that are smaller than its example's."""
    taps = torch.arange(kernel_size, device=device)
    places = [torch.arange(n, device=device) for n in (h, w)]
    radius = torch.stack([place[-1] for place in places]).min() // 2
    last = 2 * radius.clamp(max=kernel_size // 2)  # tap
    windows = []
    for place in places:
        start = torch.minimum((place - last // 2).clamp(min=0), place[-1] - last)
        windows.append((start + torch.minimum(taps, last).unsqueeze(1), taps <= last))
    return tuple(windows)


def _views(x: Tensor, rows: Tensor, columns: Tensor):
    """The map (..., h, w) as each tap sees it, in row-major order of taps."""
    for row in rows:
        tall = x.index_select(-2, row)
        for column in columns:
            yield tall.index_select(-1, column)
