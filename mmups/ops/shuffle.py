"""Moving s*s blocks of channels into space and back, for batches of any size."""
import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_shuffle(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C*s*s, h, w) to (N, C, s*h, s*w); channel ``(c*s + a)*s + b`` is row a, column b.

    PyTorch's, whose backward pass fails on an empty batch. Images without a detection make such
    batches in training.

    >>> pixel_shuffle(torch.rand(1, 8 * 4, 5, 6), 2).shape
    torch.Size([1, 8, 10, 12])
    """
    n, c, h, w = x.shape
    if n == 0:
        return x.reshape(0, c // scale_factor**2, h * scale_factor, w * scale_factor)
    return F.pixel_shuffle(x, scale_factor)


def pixel_unshuffle(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C, s*h, s*w) to (N, C*s*s, h, w), the way back.

    PyTorch's fails on an empty batch, and splits axes, which no export can prove to be possible
    at sizes that the graph derives.

    >>> pixel_unshuffle(torch.rand(1, 8, 10, 12), 2).shape
    torch.Size([1, 32, 5, 6])
    """
    phases = [x[..., row::scale_factor, column::scale_factor]
              for row in range(scale_factor) for column in range(scale_factor)]
    return torch.stack(phases, dim=2).flatten(1, 2)
