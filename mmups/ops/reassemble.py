"""Content-aware reassembly: every fine pixel is a weighted sum of a coarse window.

Dimension letters: N batch, C channels, G groups, K window size, s scale, h and w coarse sizes.

Convention: fine pixel (Y, X) belongs to coarse pixel (Y // s, X // s); its window is centred
there, taps in row-major order; what lies outside the map counts as zero.
"""
from functools import cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from .shuffle import pixel_shuffle

# The innermost of torch.vmap, torch.func.grad and the like; None: there is none.
_transform = getattr(torch._C._functorch, 'peek_interpreter_stack', lambda: None)


def windows(x: Tensor, kernel_size: int):
    """The K*K shifted views of ``x`` (..., h, w), zero outside, in row-major order of taps."""
    h, w = x.shape[-2:]
    radius = kernel_size // 2
    padded = F.pad(x, (radius, radius, radius, radius))
    for dy in range(kernel_size):
        for dx in range(kernel_size):
            yield padded[..., dy:dy + h, dx:dx + w]


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
    n, c, h, w = x.shape
    s, g = scale_factor, groups
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.is_cuda and dtype == torch.float32 and _eager() and _mmcv_carafe():
        fine = pixel_shuffle(kernels.to(dtype), s)
        return _mmcv_carafe()(x.to(dtype).contiguous(), fine.contiguous(), kernel_size, g,
                              s).to(x.dtype)
    weights = kernels.to(dtype).reshape(n, g, kernel_size**2, 1, s * s, h, w)
    out = x.new_zeros((n, g, c // g, s * s, h, w), dtype=dtype)
    blocks = x.to(dtype).reshape(n, g, c // g, 1, h, w)
    for tap, view in enumerate(windows(blocks, kernel_size)):
        out = torch.addcmul(out, view, weights[:, :, tap])
    return pixel_shuffle(out.reshape(n, c * s * s, h, w), s).to(x.dtype)


def _eager() -> bool:
    """Whether operators of other packages can be called: nobody records, nothing is transformed."""
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or _transform())


@cache
def _mmcv_carafe():
    """mmcv's operator, or None where mmcv or its compiled extension is missing or broken."""
    try:
        if find_spec('mmcv._ext') is None:
            return None
        from mmcv.ops import carafe
    except Exception:  # whatever a broken mmcv raises; PyTorch computes the same
        return None
    return carafe
