"""One map, upsampled by many methods, in one number per pixel."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fit_to_map(module: nn.Module, x: Tensor, guide: Optional[Tensor], steps: int) -> nn.Module:
    """Teach an upsampler to bring a map back from half its size, so that its picture shows more
    than its initial weights.

    Args:
        module: Changed in place, and left in eval mode.
        x: (N, C, h, w), the map; it is averaged over s x s pixels, and so is the guide.
        guide: The guide of ``x``, or None.
        steps: Of Adam; 0 leaves the module as it is.
    """
    parameters = list(module.parameters())
    s = module.scale_factor
    h, w = (size // s * s for size in x.shape[-2:])
    if steps and parameters and h and w:
        target = x[..., :h, :w]
        small = F.avg_pool2d(target, s)
        if guide is not None:
            guide = F.avg_pool2d(F.interpolate(guide, size=(s * h, s * w)), s)
        optimiser = torch.optim.Adam(parameters, lr=0.005)
        module.train()
        for _ in range(steps):
            optimiser.zero_grad()
            F.mse_loss(module(small, guide), target).backward()
            optimiser.step()
    return module.eval()


def principal_component(x: Tensor) -> tuple[Tensor, Tensor]:
    """The direction in which the pixels of a map differ most.

    Args:
        x: (C, h, w).

    Returns:
        Means (C, ) and a unit vector (C, ), whose entry of largest magnitude is positive.
    """
    pixels = x.flatten(1).double()
    mean = pixels.mean(1)
    direction = torch.linalg.svd(pixels - mean[:, None], full_matrices=False).U[:, 0]
    return mean, direction * direction[direction.abs().argmax()].sign()


def project(x: Tensor, mean: Tensor, direction: Tensor) -> Tensor:
    """(C, H, W) to (H, W), along :func:`principal_component`."""
    return torch.einsum('c,chw->hw', direction, x.double() - mean[:, None, None])
