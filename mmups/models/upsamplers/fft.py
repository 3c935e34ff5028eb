"""Upsampling without aliases: the map's spectrum, padded with zeros.

Interpolation of a band-limited signal as in textbooks. The halving that it undoes is the pooling of
Grabinski et al., "FrequencyLowCut Pooling" (ECCV 2022, arXiv:2204.00491). The argument for large
kernels in the paper of LCTC (arXiv:2311.17524) starts from the same spectra.

Deviations from the plain transform: the result is at half-pixel centres instead of aligned at the
first pixel, and the map is continued by its mirror image instead of by itself.
"""
from typing import Optional

from torch import Tensor

from mmups.ops import zero_pad_spectrum
from mmups.registry import MODELS

from .base import BaseUpsampler


@MODELS.register_module()
class FFTUpsample(BaseUpsampler):
    """Ideal low-pass interpolation: the baseline that leaves no replica of the spectrum.

    No parameters. What the coarse map holds is kept exactly, and nothing is added above its
    highest frequency. The price is ringing: beside a step the output overshoots by about 14 %
    of it and swings on over several pixels.

    Args:
        in_channels: C.
        scale_factor: s, a positive integer.
        guide_channels: Not needed.
        init_cfg: Not needed.

    >>> FFTUpsample(64)(torch.rand(1, 64, 8, 8), size=(15, 16)).shape
    torch.Size([1, 64, 15, 16])
    """

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return zero_pad_spectrum(x, self.scale_factor)
