"""Weights that sum to one, along an axis and over windows."""
import torch
from torch import Tensor


def softmax(logits: Tensor, dim: int) -> Tensor:
    """Softmax in float32 at least: half precision loses the small weights of a window.

    Args:
        logits: Any shape.
        dim: The axis along which the result sums to one.

    >>> softmax(torch.rand(2, 25, 8, 8, dtype=torch.float16), dim=1).dtype
    torch.float32
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim)


def window_softmax(logits: Tensor, taps: int, scale_factor: int) -> Tensor:
    """Softmax over the taps of each fine pixel's window, for :func:`mmups.ops.reassemble`.

    Args:
        logits: (N, G*taps*s*s, h, w), in the order of ``reassemble``'s weights.
        taps: Size of a window.
        scale_factor: s.

    >>> window_softmax(torch.rand(2, 100, 8, 8), taps=25, scale_factor=2).shape
    torch.Size([2, 100, 8, 8])
    """
    windows = logits.unflatten(1, (-1, taps, scale_factor**2))
    return softmax(windows, dim=2).flatten(1, 3)
