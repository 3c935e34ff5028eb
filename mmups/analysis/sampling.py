"""Where an upsampler samples: offsets from plain interpolation, and grids that fold over."""
import torch
from torch import Tensor


def offsets(points: Tensor, scale_factor: int) -> Tensor:
    """Points relative to those of bilinear interpolation.

    Args:
        points: (N, G, 2, s*h, s*w), as :meth:`mmups.models.BaseUpsampler.points` returns them.
        scale_factor: s.

    Returns:
        Tensor of the same shape, in coarse pixels, x before y.
    """
    rows, columns = ((torch.arange(size, device=points.device) + 0.5) / scale_factor - 0.5
                     for size in points.shape[-2:])
    return points - torch.stack(torch.meshgrid(rows, columns, indexing='ij')).flip(0)


def folded(points: Tensor) -> Tensor:
    """Where the grid of points folds over: neighbours have changed places.

    The sign of the Jacobian determinant of the map from fine pixels to points, by differences to
    the next row and the next column. Plain interpolation has 1/s^2 everywhere; where it is zero or
    negative, the output runs backwards over the coarse map, and detail is repeated or mirrored.

    Args:
        points: (N, G, 2, H, W), x before y.

    Returns:
        Boolean tensor (N, G, H - 1, W - 1); its mean is the share of folded points.

    >>> grid = torch.stack(torch.meshgrid(torch.arange(4.), torch.arange(5.), indexing='xy'))
    >>> folded(grid[None, None]).any().item(), folded(-grid[None, None].flip(2)).all().item()
    (False, True)
    """
    points = points.double()
    along_row = points[..., :-1, 1:] - points[..., :-1, :-1]
    down = points[..., 1:, :-1] - points[..., :-1, :-1]
    return along_row[:, :, 0] * down[:, :, 1] - along_row[:, :, 1] * down[:, :, 0] <= 0
