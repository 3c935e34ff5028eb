"""Bringing a map to a size that differs by less than one cell of the coarser map."""
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def is_recording() -> bool:
    """Whether a graph for maps of other sizes is being recorded (a trace, an export).

    Code that compares sizes would leave in the graph the branch that the example took.

    >>> is_recording()
    False
    """
    # Not is_exporting(): up to PyTorch 2.12 the compiler takes it for true wherever it compiles.
    # Before 2.7 there is neither; there the graph of an export keeps its sizes.
    return torch.jit.is_tracing() or getattr(torch.compiler, '_is_exporting_flag', False)


def of_example(number: Any) -> int:
    """One of a size; in a graph that is recorded, that of the example, which does not bind it."""
    if isinstance(number, int):
        return number
    if isinstance(number, torch.SymInt):
        return number.node.hint
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        return int(number)


def fit_size(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop or replicate ``x`` at its bottom and right borders.

    A backbone halves 43 columns to 22, and x2 gives 44. Cropping keeps every sample where it was;
    resizing 44 to 43 would shift samples by up to 0.94 pixel. Backbones that round down leave
    the opposite case, where the last row or column is repeated.

    Args:
        x: Map of shape (N, C, h, w).
        size: Height and width to return.

    Returns:
        Tensor of shape (N, C, *size); ``x`` itself where nothing is to be done.

    >>> fit_size(torch.rand(1, 8, 10, 12), (9, 13)).shape
    torch.Size([1, 8, 9, 13])
    """
    h, w = x.shape[-2:]
    height, width = size
    if is_recording():  # one graph for both cases and for neither
        rows = torch.arange(height, device=x.device).clamp(max=h - 1)
        columns = torch.arange(width, device=x.device).clamp(max=w - 1)
        return x.index_select(-2, rows).index_select(-1, columns)
    if height < h or width < w:
        x = x[..., :height, :width]
    if height > h or width > w:
        x = F.pad(x, (0, max(width - w, 0), 0, max(height - h, 0)), mode='replicate')
    return x
