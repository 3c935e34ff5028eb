"""Content-aware reassembly: every fine pixel is a weighted sum of a coarse window.

Dimension letters: N batch, C channels, G groups, K window size, s scale, h and w coarse sizes.

Convention: fine pixel (Y, X) belongs to coarse pixel (Y // s, X // s); its window is centred
there, taps in row-major order; what lies outside the map counts as zero.
"""
from torch import Tensor

from .backend import implementation
from .shuffle import pixel_shuffle


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int = 1,
               scale_factor: int = 2) -> Tensor:
    """Weighted sums over K x K windows of ``x``, with weights of their own for each fine pixel.

    The operator of CARAFE (Wang et al., ICCV 2019, arXiv:1905.02188), one pass over the taps and
    no copy of the windows. mmcv's CUDA kernel does the same where it can be used. Weights come as
    convolutions at the coarse size make them, before a pixel shuffle; those that live at the fine
    size go through :func:`pixel_unshuffle`.

    Args:
        x: (N, C, h, w); contiguous blocks of C/G channels share their weights.
        kernels: (N, G*K*K*s*s, h, w), channel ``(g*K*K + tap)*s*s + row*s + column``, where row
            and column are those of the fine pixel in its cell; not normalised here.
        kernel_size: K, odd.
        groups: G.
        scale_factor: s.

    Returns:
        Tensor of shape (N, C, s*h, s*w) and of x's dtype; float32 at least inside.

    >>> reassemble(torch.rand(1, 8, 5, 6), torch.rand(1, 3 * 3 * 4, 5, 6), kernel_size=3).shape
    torch.Size([1, 8, 10, 12])
    """
    return implementation('reassemble', x)(x, kernels, kernel_size, groups, scale_factor)


def windows_of(kernels: Tensor, kernel_size: int, scale_factor: int = 2) -> Tensor:
    """The weights of :func:`reassemble` as windows, to look at.

    Args:
        kernels: (N, G*K*K*s*s, h, w).
        kernel_size: K.
        scale_factor: s.

    Returns:
        Tensor of shape (N, G, s*h, s*w, K, K).

    >>> windows_of(torch.rand(1, 2 * 3 * 3 * 4, 5, 6), kernel_size=3).shape
    torch.Size([1, 2, 10, 12, 3, 3])
    """
    taps = pixel_shuffle(kernels, scale_factor)
    return taps.unflatten(1, (-1, kernel_size, kernel_size)).permute(0, 1, 4, 5, 2, 3)
