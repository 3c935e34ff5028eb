"""Moving s*s blocks of channels into space and back, for batches of any size.

PyTorch's functions return an empty batch in its old shape, or fail on it in the backward pass.
Images without a detection make such batches in training.
"""
import torch.nn.functional as F
from torch import Tensor


def pixel_shuffle(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C*s*s, h, w) to (N, C, s*h, s*w); channel ``(c*s + a)*s + b`` is row a, column b."""
    n, c, h, w = x.shape
    if n == 0:
        return x.reshape(0, c // scale_factor**2, h * scale_factor, w * scale_factor)
    return F.pixel_shuffle(x, scale_factor)


def pixel_unshuffle(x: Tensor, scale_factor: int) -> Tensor:
    """(N, C, s*h, s*w) to (N, C*s*s, h, w), the inverse of :func:`pixel_shuffle`."""
    n, c, h, w = x.shape
    if n == 0:
        return x.reshape(0, c * scale_factor**2, h // scale_factor, w // scale_factor)
    return F.pixel_unshuffle(x, scale_factor)
