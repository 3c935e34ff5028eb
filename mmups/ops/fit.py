"""Bringing a map to a size that differs by less than one cell of the coarser map."""
import torch.nn.functional as F
from torch import Tensor


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
    """
    h, w = x.shape[-2:]
    height, width = size
    if height < h or width < w:
        x = x[..., :height, :width]
    if height > h or width > w:
        x = F.pad(x, (0, max(width - w, 0), 0, max(height - h, 0)), mode='replicate')
    return x
