"""Every operator in PyTorch's own: runs everywhere, can be traced, exported and transformed.

What the operators mean is documented where they are public. Sums are in float32 at least.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ..shuffle import pixel_shuffle, pixel_unshuffle


def missing() -> Optional[str]:
    return None


def serves(operator: str, x: Tensor) -> bool:
    return True


def sample_dynamic(x: Tensor, offset: Tensor, scale_factor: int, groups: int) -> Tensor:
    n, c, h, w = x.shape
    fine_h, fine_w = h * scale_factor, w * scale_factor
    dtype = torch.promote_types(x.dtype, torch.float32)
    offset_x, offset_y = offset.to(dtype).chunk(2, dim=1)  # (N, G*s*s, h, w) each
    columns = torch.arange(w, device=x.device, dtype=dtype) + 0.5
    rows = torch.arange(h, device=x.device, dtype=dtype).unsqueeze(1) + 0.5
    # Width and height divide separately: one tensor of both would be a constant in a trace. The
    # grid is stacked in its last shape: Inductor cannot keep a view of it for the backward pass.
    shape = n * groups, fine_h, fine_w
    grid_x = pixel_shuffle((offset_x + columns) / w * 2 - 1, scale_factor).reshape(shape)
    grid_y = pixel_shuffle((offset_y + rows) / h * 2 - 1, scale_factor).reshape(shape)
    grid = torch.stack((grid_x, grid_y), dim=-1)  # (N*G, s*h, s*w, 2)
    # What is no number (a diverged training) becomes the border: PyTorch's backward pass on a CPU
    # would write anywhere.
    grid = torch.where(grid == grid, grid, -1)
    maps = x.to(dtype).reshape(n * groups, c // groups, h, w)
    out = F.grid_sample(maps, grid, mode='bilinear', padding_mode='border', align_corners=False)
    return out.reshape(n, c, fine_h, fine_w).to(x.dtype)


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int,
               scale_factor: int) -> Tensor:
    n, c, h, w = x.shape
    s, g = scale_factor, groups
    dtype = torch.promote_types(x.dtype, torch.float32)
    weights = kernels.to(dtype).reshape(n, g, kernel_size**2, 1, s * s, h, w)
    out = x.new_zeros((n, g, c // g, s * s, h, w), dtype=dtype)
    blocks = x.to(dtype).reshape(n, g, c // g, 1, h, w)
    for tap, view in enumerate(_windows(blocks, kernel_size)):
        out = torch.addcmul(out, view, weights[:, :, tap])
    return pixel_shuffle(out.reshape(n, c * s * s, h, w), s).to(x.dtype)


def query_key(query: Tensor, key: Tensor, kernel_size: int, scale_factor: int) -> Tensor:
    dtype = torch.promote_types(query.dtype, torch.float32)
    n, d, h, w = key.shape
    queries = pixel_unshuffle(query.to(dtype), scale_factor)
    queries = queries.reshape(n, d, scale_factor**2, h, w)
    logits = [(queries * view).sum(dim=1)
              for view in _windows(key.to(dtype).unsqueeze(2), kernel_size)]
    return torch.cat(logits, dim=1)


def _windows(x: Tensor, kernel_size: int):
    """The K*K shifted views of ``x`` (..., h, w), zero outside, in row-major order of taps."""
    h, w = x.shape[-2:]
    radius = kernel_size // 2
    padded = F.pad(x, (radius, radius, radius, radius))
    for dy in range(kernel_size):
        for dx in range(kernel_size):
            yield padded[..., dy:dy + h, dx:dx + w]


def deform_query_key(query: Tensor, key: Tensor, offset: Tensor, groups: int,
                     scale_factor: int) -> Tensor:
    n, c, fine_h, fine_w = query.shape
    dtype = torch.promote_types(query.dtype, torch.float32)
    queries = query.to(dtype).reshape(n * groups, c // groups, fine_h, fine_w)
    logits = [(queries * sampled).sum(dim=1)
              for sampled in _sample_points(key.to(dtype), offset, groups, scale_factor)]
    return torch.stack(logits, dim=1).reshape(n, groups, len(logits), fine_h, fine_w)


def deform_attend(attention: Tensor, value: Tensor, offset: Tensor, scale_factor: int) -> Tensor:
    n, groups, points, fine_h, fine_w = attention.shape
    dtype = torch.promote_types(value.dtype, torch.float32)
    weights = attention.to(dtype).reshape(n * groups, points, fine_h, fine_w)
    out = 0
    for p, sampled in enumerate(_sample_points(value.to(dtype), offset, groups, scale_factor)):
        out = out + weights[:, p:p + 1] * sampled
    return out.reshape(n, value.shape[1], fine_h, fine_w).to(value.dtype)


def _sample_points(x: Tensor, offset: Tensor, groups: int, scale_factor: int):
    """Maps (N*G, C/G, s*h, s*w) sampled bilinearly at point 0, 1, ... P-1 of each fine pixel."""
    n, c, h, w = x.shape
    s = scale_factor
    points = offset.shape[1] // (2 * groups)
    xy = offset.to(x.dtype).reshape(n * groups, points, 2, s * h, s * w)
    rows = torch.arange(h, device=x.device, dtype=x.dtype).unsqueeze(1) + 0.5
    columns = torch.arange(w, device=x.device, dtype=x.dtype).unsqueeze(1) + 0.5
    rows = rows.expand(h, s).reshape(s * h, 1)  # centre of the coarse pixel of each fine row
    columns = columns.expand(w, s).reshape(s * w)
    grid = torch.stack(((xy[:, :, 0] + columns) / w * 2 - 1, (xy[:, :, 1] + rows) / h * 2 - 1),
                       dim=-1)  # (N*G, P, s*h, s*w, 2)
    maps = x.reshape(n * groups, c // groups, h, w)
    for p in range(points):
        yield F.grid_sample(maps, grid[:, p], mode='bilinear', padding_mode='zeros',
                            align_corners=False)


def depthwise_transposed(x: Tensor, weight: Tensor, bias: Tensor, scale_factor: int) -> Tensor:
    return F.conv_transpose2d(x, weight, bias, scale_factor, padding=weight.shape[-1] // 2,
                              output_padding=scale_factor - 1, groups=x.shape[1])
