"""FLC: downsampling without aliases.

Grabinski et al., "FrequencyLowCut Pooling -- Plug & Play against Catastrophic Overfitting" (ECCV
2022, arXiv:2204.00491), in the form in which Restormer's downsampling has it in the experiments of
Agnihotri et al., "Beware of Aliases -- Signal Preservation is Crucial for Robust Image Restoration"
(arXiv:2406.07435). No code was read; keys are those that are known of the authors' Restormer.

Deviations: spectra are cut by products with matrices, :func:`mmups.ops.crop_spectrum`, as in
:class:`FreqAvgUp`; the map repeats itself beyond its borders, where the paper of 2024 mirrors it.
"""
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.upsamplers.checks import check_int
from mmups.ops import crop_spectrum, pixel_unshuffle, zero_pad_spectrum
from mmups.registry import MODELS


@MODELS.register_module()
class FLC(BaseModule):
    """Convolution to half the channels, whose frequencies are split where the coarser grid ends.

    The lower half is resampled on the coarser grid, the same for all four phases of it; what is
    left goes there by phases. Their mixture, learned by one number, has twice the channels.

    Args:
        in_channels: C, even.

    Attributes:
        out_channels: 2C.

    Raises:
        ValueError: C is no positive even integer.

    >>> FLC(16)(torch.rand(1, 16, 8, 12)).shape
    torch.Size([1, 32, 4, 6])
    """

    def __init__(self, in_channels: int):
        super().__init__()
        if check_int('in_channels', in_channels) % 2:
            raise ValueError(f'FLC halves the channels first, got in_channels={in_channels}')
        self.out_channels = 2 * in_channels
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels // 2, 3, padding=1, bias=False))
        self.alpha = nn.Parameter(torch.full((1, ), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 2h, 2w) to (N, 2C, h, w).

        Raises:
            ValueError: Height or width is odd.
        """
        x = self.body(x)
        low = crop_spectrum(x)
        smooth = zero_pad_spectrum(low, corner_aligned=True, mirrored=False)
        high = pixel_unshuffle(x - smooth, 2)
        return ((1 - self.alpha) * low.repeat(1, 4, 1, 1) + self.alpha * high).to(x.dtype)


def build_downsampler(cfg: dict, in_channels: int) -> nn.Module:
    """Build what halves a map of a host and doubles its channels.

    Args:
        cfg: ``dict(type='FLC')``, or the type of any module that takes ``in_channels`` C and says
            of itself ``out_channels`` = 2C.
        in_channels: C.

    Raises:
        ValueError: ``cfg`` is no config, or of something else.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ValueError(f"a downsampler is configured by dict(type='FLC'), got {cfg!r}")
    module = MODELS.build(dict(cfg, in_channels=in_channels))
    out_channels = getattr(module, 'out_channels', None)
    if out_channels != 2 * in_channels:
        raise ValueError(f'a downsampler makes {2 * in_channels} channels of {in_channels}, and '
                         f"{cfg} makes {out_channels}; dict(type='FLC') is one")
    return module
