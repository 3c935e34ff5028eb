"""Reassembly in inference on a CPU without a compiler: a window is a bag of pixels.

PyTorch's ``embedding_bag`` sums weighted rows of a table; the table is the map's pixels. It makes
one pass over the output where the reference makes one per tap. Its gradient cannot be
differentiated again, so that it computes only where no gradient is wanted.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def missing() -> Optional[str]:
    return None


def serves(operator: str, x: Tensor) -> bool:
    return (operator == 'reassemble' and x.device.type == 'cpu'
            and x.dtype in (torch.float32, torch.float64) and x.numel() > 0
            and not torch.is_grad_enabled() and not torch.compiler.is_compiling())


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int,
               scale_factor: int) -> Tensor:
    n, c, h, w = x.shape
    s, g, k, radius = scale_factor, groups, kernel_size, kernel_size // 2
    padded_h, padded_w = h + 2 * radius, w + 2 * radius
    padded = F.pad(x, (radius, radius, radius, radius))
    table = padded.permute(0, 2, 3, 1).reshape(-1, c // g)  # a row: one pixel, one group
    taps = (torch.arange(k).unsqueeze(1) * padded_w + torch.arange(k)).flatten()
    corners = torch.arange(h).unsqueeze(1) * padded_w + torch.arange(w)  # of each window
    images = torch.arange(n) * padded_h * padded_w
    rows = (images.view(n, 1, 1, 1, 1, 1, 1) + corners.view(h, 1, w, 1, 1, 1) + taps) * g
    rows = rows + torch.arange(g).unsqueeze(1)
    rows = rows.expand(n, h, s, w, s, g, k * k)
    weights = kernels.to(x.dtype).reshape(n, g, k * k, s, s, h, w).permute(0, 5, 3, 6, 4, 1, 2)
    out = F.embedding_bag(rows.reshape(-1, k * k), table, mode='sum',
                          per_sample_weights=weights.reshape(-1, k * k))
    return out.reshape(n, h * s, w * s, c).permute(0, 3, 1, 2).contiguous()
