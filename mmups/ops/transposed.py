"""Depthwise transposed convolution."""
from torch import Tensor

from .backend import implementation


def depthwise_transposed(x: Tensor, weight: Tensor, bias: Tensor, scale_factor: int = 2) -> Tensor:
    """Each channel's pixels set s apart and convolved with a kernel of that channel.

    The operator of LCTC (arXiv:2311.17524): coarse pixel i lies at fine pixel s*i, in the centre
    of its k x k kernel; what would fall outside s*h x s*w is left out.

    Args:
        x: (N, C, h, w).
        weight: (C, 1, k, k), k odd.
        bias: (C).
        scale_factor: s.

    Returns:
        Tensor of shape (N, C, s*h, s*w).

    >>> depthwise_transposed(torch.rand(1, 8, 5, 6), torch.rand(8, 1, 7, 7), torch.rand(8)).shape
    torch.Size([1, 8, 10, 12])
    """
    return implementation('depthwise_transposed', x)(x, weight, bias, scale_factor)
