"""The guided filter: a map as a local linear function of another one.

He and Sun, "Fast Guided Filter" (arXiv:1505.00996): coefficients at a smaller size.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def guided_filter(x: Tensor, guide: Tensor, radius: int = 4, step: int = 2,
                  eps: float = 0.001) -> Tensor:
    """``x`` with the edges of the guide, channel by channel.

    Both are made ``step`` times smaller by nearest neighbours. There, in windows of
    (2*radius + 1)^2 cut off at the border, ``x`` is fitted by a * guide + b; mean coefficients,
    interpolated bilinearly, give the result.

    Args:
        x, guide: (N, C, H, W).
        radius: Of the windows, in pixels of the smaller size.
        step: Ratio of the sizes, rounded down.
        eps: Variances of the guide below it count as noise.

    Returns:
        Tensor of shape (N, C, H, W), float32 at least: variances are differences of squares.

    >>> guided_filter(torch.rand(1, 8, 15, 16), torch.rand(1, 8, 15, 16)).shape
    torch.Size([1, 8, 15, 16])
    """
    dtype = torch.promote_types(guide.dtype, torch.float32)
    x, guide = x.to(dtype), guide.to(dtype)
    height, width = guide.shape[-2:]
    smaller = [max(n // step, 1) for n in (height, width)]
    p, i = (F.interpolate(maps, size=smaller) for maps in (x, guide))
    mean_p, mean_i, mean_ip, mean_ii = _box_mean(
        torch.cat((p, i, i * p, i * i), dim=1), radius).chunk(4, dim=1)
    a = (mean_ip - mean_i * mean_p) / (mean_ii - mean_i * mean_i + eps)
    b = mean_p - a * mean_i
    coefficients = F.interpolate(_box_mean(torch.cat((a, b), dim=1), radius),
                                 size=(height, width), mode='bilinear', align_corners=False)
    a, b = coefficients.chunk(2, dim=1)
    return torch.addcmul(b, a, guide)


def _box_mean(x: Tensor, radius: int) -> Tensor:
    """Means of windows without what lies outside the map, rows and columns apart."""
    side = 2 * radius + 1
    x = F.avg_pool2d(x, (1, side), stride=1, padding=(0, radius), count_include_pad=False)
    return F.avg_pool2d(x, (side, 1), stride=1, padding=(radius, 0), count_include_pad=False)
