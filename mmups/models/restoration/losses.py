"""Losses of image restoration; those that PyTorch has are registered as they are.

The PSNR loss is that of Chen et al., "Simple Baselines for Image Restoration" (ECCV 2022,
arXiv:2204.04676), as a description of it has it; no code was read. Deviations: none known.
"""
import math

from torch import Tensor, nn

from mmups.registry import MODELS

MODELS.register_module(module=nn.L1Loss)
MODELS.register_module(module=nn.MSELoss)


@MODELS.register_module()
class PSNRLoss(nn.Module):
    """Negative peak signal-to-noise ratio in dB, the mean over the images of a batch.

    Args:
        eps: Added to an image's mean squared error: a perfect one has a gradient, and at most
            -10 log10(eps) dB.
    """

    def __init__(self, eps: float = 1e-8):
        super().__init__()
        self.eps = eps

    def forward(self, output: Tensor, truth: Tensor) -> Tensor:
        """Images (N, C, H, W) with values of [0, 1] to a scalar."""
        errors = (output - truth).square().mean(dim=(1, 2, 3))
        return 10 / math.log(10) * (errors + self.eps).log().mean()

    def extra_repr(self) -> str:
        return f'eps={self.eps}'
