"""FreqAvgUp: pixel shuffling whose four phases share one low-pass path.

Agnihotri et al., "Beware of Aliases -- Signal Preservation is Crucial for Robust Image Restoration"
(arXiv:2406.07435), the upsampling of BOA-Restormer. No code was read. It is known in two forms, of
which the later one is followed: the first pads the spectrum on one side without centring it, and
casts complex numbers to real ones.

Deviations: no spectrum is computed. The mean of spectra is that of the maps, and padding them with
zeros a product with matrices, :func:`mmups.ops.zero_pad_spectrum`; it differs from the real part of
an inverse transform in one number of even sizes, the one at the limit of both axes, which is split
among all of its signs.
"""
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmups.ops import pixel_shuffle, zero_pad_spectrum
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_out_channels


@MODELS.register_module()
class FreqAvgUp(BaseUpsampler):
    """Convolution to s*s phases of each channel, whose mean is interpolated without aliases and
    what each has beyond it is shuffled into space, mixed by a learned share.

    Where all phases are equal the output is :class:`FFTUpsample`'s of them, aligned at the first
    pixel and periodic, times ``1 - beta``.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Not needed.
        out_channels: Channels of the output; None: C.
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: A number is not a positive integer.

    >>> FreqAvgUp(64, out_channels=32)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 32, 16, 16])
    """

    changes_channels = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, out_channels: Optional[int] = None,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.out_channels = check_out_channels(self, out_channels)
        self.body = nn.Conv2d(self.in_channels, self.out_channels * self.scale_factor**2, 3,
                              padding=1, bias=False)
        self.beta = nn.Parameter(torch.empty(1))
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's default for the convolution; a share of 0.3 for what goes by phases."""
        self.body.reset_parameters()
        nn.init.constant_(self.beta, 0.3)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        s, (n, _, h, w) = self.scale_factor, x.shape
        phases = self.body(x).reshape(n, self.out_channels, s * s, h, w)
        phases = phases.to(torch.promote_types(x.dtype, torch.float32))
        mean = phases.mean(2)
        low = zero_pad_spectrum(mean, s, corner_aligned=True, mirrored=False)
        high = pixel_shuffle((phases - mean.unsqueeze(2)).flatten(1, 2), s)
        return (1 - self.beta) * low + self.beta * high
