"""Moving s*s blocks of channels into space and back, for batches of any size."""
import torch.nn.functional as F
from torch import Tensor


def pixel_shuffle(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C*s*s, h, w) to (N, C, s*h, s*w); channel ``(c*s + a)*s + b`` is row a, column b.

    PyTorch's, whose backward pass fails on an empty batch. Images without a detection make such
    batches in training.
    """
    n, c, h, w = x.shape
    if n == 0:
        return x.reshape(0, c // scale_factor**2, h * scale_factor, w * scale_factor)
    return F.pixel_shuffle(x, scale_factor)


def split_phases(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C, s*h, s*w) to (N, C, s*s, h, w), the pixels of each s x s cell on an axis of their own.

    PyTorch's ``pixel_unshuffle`` fails on an empty batch and in graphs for any size.
    """
    s = scale_factor
    cells = x.unflatten(3, (-1, s)).unflatten(2, (-1, s))  # (N, C, h, s, w, s)
    return cells.permute(0, 1, 3, 5, 2, 4).flatten(2, 3)
