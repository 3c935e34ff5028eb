"""Moving s*s blocks of channels into space, for batches of any size."""
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
