"""Weighted sums of bilinear samples around a fine pixel's place, one coarse pixel apart.

Dimension letters: N batch, C channels, K window size, h and w coarse sizes, H and W fine sizes.

Convention: fine pixel (Y, X) lies at row (Y + 0.5) h/H - 0.5 and column (X + 0.5) w/W - 0.5 of the
coarse map; points beyond the border take the border's value.
"""
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .fit import is_recording
from .reassemble import reassemble
from .shuffle import pixel_unshuffle


def attend_neighbours(attention: Tensor, value: Tensor, kernel_size: int = 3) -> Tensor:
    """Sums over K x K samples of ``value``, with weights of their own for each fine pixel.

    The fine-grained neighbour selection of ReSFU (Zhou et al., arXiv:2407.02283): tap (a, b) is the
    bilinear sample at the fine pixel's own place, moved by a - K//2 rows and b - K//2 columns. Of
    weights that sum to one the result is a smooth interpolation. No copies of the windows are made.

    Args:
        attention: (N, K*K, H, W), taps in row-major order; not normalised here.
        value: (N, C, h, w), of any ratio to H and W.
        kernel_size: K, odd.

    Returns:
        Tensor of shape (N, C, H, W) and of value's dtype; float32 at least inside.

    >>> attend_neighbours(torch.rand(1, 9, 21, 32), torch.rand(1, 8, 5, 8)).shape
    torch.Size([1, 8, 21, 32])
    """
    attention = attention.to(torch.promote_types(value.dtype, torch.float32))
    (h, w), (height, width) = value.shape[-2:], attention.shape[-2:]
    ratio = height // h
    # A comparison would hold a recorded graph to sizes that divide alike.
    if not is_recording() and (height, width) == (ratio * h, ratio * w):
        return _reassembled(attention, value, kernel_size, ratio)
    weights, out = attention.unsqueeze(2), 0
    for tap, sampled in enumerate(_samples(value.to(attention.dtype), height, width, kernel_size)):
        out = out + weights[:, tap] * sampled
    return out.to(value.dtype)


def _reassembled(attention: Tensor, value: Tensor, kernel_size: int, ratio: int) -> Tensor:
    """Of one whole ratio: all samples of a fine pixel lie between the pixels of one window around
    its coarse pixel, and each pixel's shares in them are one weight."""
    rows, columns = (_shares(n, ratio, kernel_size, attention) for n in value.shape[-2:])
    weights = attention.unflatten(1, (kernel_size, kernel_size))
    weights = torch.einsum('nabyx,yai->nibyx', weights, rows)
    weights = torch.einsum('nibyx,xbj->nijyx', weights, columns).flatten(1, 2)
    return reassemble(value, pixel_unshuffle(weights, ratio), kernel_size + 2, scale_factor=ratio)


def _shares(length: int, ratio: int, kernel_size: int, like: Tensor) -> Tensor:
    """Along one axis, of each pixel of a window in each sample, (fine length, K, K + 2)."""
    fine = torch.arange(ratio * length, device=like.device)
    own, radius = (fine // ratio).unsqueeze(1), kernel_size // 2
    places = ((fine.to(like.dtype) + 0.5) / ratio - 0.5).unsqueeze(1) + torch.arange(
        -radius, radius + 1, device=like.device)
    first = places.floor()
    shares = like.new_zeros(len(fine), kernel_size, kernel_size + 2)
    for pixel, share in ((first, 1 - places + first), (first + 1, places - first)):
        pixel = pixel.long().clamp(0, length - 1) - own + radius + 1
        shares.scatter_add_(2, pixel.unsqueeze(2), share.unsqueeze(2))
    return shares


def _samples(value: Tensor, height: int, width: int, kernel_size: int) -> Iterator[Tensor]:
    """Of any ratio."""
    h, w = value.shape[-2:]
    rows, columns = (2 * torch.arange(n, device=value.device, dtype=value.dtype) + 1
                     for n in (height, width))
    for a in range(kernel_size):
        for b in range(kernel_size):
            y = rows / height + 2 * (a - kernel_size // 2) / h - 1
            x = columns / width + 2 * (b - kernel_size // 2) / w - 1
            grid = torch.stack((x.expand(height, width), y.unsqueeze(1).expand(height, width)), -1)
            yield F.grid_sample(value, grid.expand(value.shape[0], -1, -1, -1), mode='bilinear',
                                padding_mode='border', align_corners=False)
