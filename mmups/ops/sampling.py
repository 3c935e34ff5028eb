"""Upsampling as sampling of a coarse map at moving points.

Dimension letters: N batch, C channels, G groups, s scale, h and w the coarse height and width.

Convention: pixel (row, column) of a map covers the unit square around (row + 0.5, column + 0.5);
offsets are in coarse pixels, coordinate 0 is x (columns), coordinate 1 is y (rows); points beyond
the border take the border's value (``align_corners=False``, ``padding_mode='border'``).
"""
import torch
from torch import Tensor

from .backend import implementation


def sample_dynamic(x: Tensor, offset: Tensor, scale_factor: int = 2, groups: int = 1) -> Tensor:
    """Sample ``x`` bilinearly at ``scale_factor``^2 points around each of its pixel centres.

    Fine pixel (i*s + a, j*s + b) of group g takes the value of ``x`` at row ``i + offset_y`` and
    column ``j + offset_x``, clamped to the map. Coordinates are computed in float32 at least:
    half precision cannot tell neighbouring pixels apart beyond a few hundred columns.

    Args:
        x: Coarse map, (N, C, h, w); C divisible by ``groups``. Contiguous blocks of C/G channels
            share their points.
        offset: (N, 2*G*s*s, h, w), channel ``((coordinate*G + g)*s + a)*s + b``, where a and b
            are the row and the column inside the coarse pixel.
        scale_factor: s.
        groups: G.

    Returns:
        Tensor of shape (N, C, s*h, s*w) and of x's dtype.

    >>> sample_dynamic(torch.rand(1, 8, 5, 6), torch.zeros(1, 2 * 4, 5, 6)).shape
    torch.Size([1, 8, 10, 12])
    """
    return implementation('sample_dynamic', x)(x, offset, scale_factor, groups)


def bilinear_positions(scale_factor: int = 2, groups: int = 1) -> Tensor:
    """The offsets with which :func:`sample_dynamic` is bilinear interpolation.

    Args:
        scale_factor: s.
        groups: G.

    Returns:
        Tensor of shape (1, 2*G*s*s, 1, 1) in coarse pixels, on the CPU whatever device is the
        default.

    >>> bilinear_positions(2).flatten().tolist()
    [-0.25, 0.25, -0.25, 0.25, -0.25, -0.25, 0.25, 0.25]
    """
    s = scale_factor
    step = (torch.arange(s, device='cpu') - (s - 1) / 2) / s
    rows, columns = torch.meshgrid(step, step, indexing='ij')
    xy = torch.stack((columns, rows)).unsqueeze(1)  # (2, 1, s, s): x first
    return xy.repeat(1, groups, 1, 1).reshape(1, -1, 1, 1)
