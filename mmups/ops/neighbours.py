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
    dtype = torch.promote_types(value.dtype, torch.float32)
    (h, w), (height, width) = value.shape[-2:], attention.shape[-2:]
    # A comparison would hold a recorded graph to sizes that divide alike.
    divides = not is_recording() and height % h == 0 and width % w == 0
    samples = _slices if divides else _samples
    weights, out = attention.to(dtype).unsqueeze(2), 0
    for tap, sampled in enumerate(samples(value.to(dtype), height, width, kernel_size)):
        out = out + weights[:, tap] * sampled
    return out.to(value.dtype)


def _slices(value: Tensor, height: int, width: int, kernel_size: int) -> Iterator[Tensor]:
    """Of a whole ratio: one interpolation, in which a coarse pixel is so many fine ones."""
    (h, w), radius = value.shape[-2:], kernel_size // 2
    ratios, border = (height // h, width // w), radius + 1
    size = [ratio * (n + 2 * border) for ratio, n in zip(ratios, (h, w))]
    fine = F.interpolate(F.pad(value, [border] * 4, mode='replicate'), size=size, mode='bilinear')
    for a in range(kernel_size):
        for b in range(kernel_size):
            top, left = (ratio * (border + i - radius) for ratio, i in zip(ratios, (a, b)))
            yield fine[..., top:top + height, left:left + width]


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
