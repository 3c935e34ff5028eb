"""Steps that change the number of channels, with any method.

A method that ``changes_channels`` does so itself. Any other works at the channels that the step
ends with, behind a 1x1 convolution at the coarse size: plain interpolation and such a convolution
commute, it has a quarter of the multiply-adds there, and the map then has the channels of its
guide.
"""
from typing import Optional, Union

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler, build_upsampler, resolve_upsampler


class ConvUpsample(BaseModule):
    """A 1x1 convolution without bias to other channels, and an upsampler.

    Args:
        in_channels: Channels of the map that comes in.
        upsample: The upsampler, for the channels of the result.
    """

    def __init__(self, in_channels: int, upsample: BaseUpsampler):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, upsample.in_channels, 1, bias=False)
        self.upsample = upsample

    @property
    def includes_guide(self) -> bool:
        return self.upsample.includes_guide

    @property
    def enhances_guide(self) -> bool:
        return self.upsample.enhances_guide

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None, fuse: bool = False
                ) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """(N, in_channels, h, w) to the upsampler's channels, else as the upsampler."""
        return self.upsample(self.conv(x), guide, size, fuse)


def upsampler_to(out_channels: int, cfg: dict, in_channels: int,
                 guide_channels: Optional[int] = None, scale_factor: int = 2
                 ) -> Union[BaseUpsampler, ConvUpsample]:
    """Build what takes a step to ``out_channels``.

    Args:
        out_channels: Channels of the result.
        cfg, in_channels, guide_channels, scale_factor: As in :func:`build_upsampler`.

    Raises:
        ValueError, TypeError: As in :func:`build_upsampler`.

    >>> upsampler_to(32, dict(type='Interpolate'), 64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 32, 16, 16])
    """
    cls, _ = resolve_upsampler(cfg)
    if cls.changes_channels or out_channels == in_channels:
        return build_upsampler(cfg, in_channels, guide_channels, scale_factor, out_channels)
    upsample = build_upsampler(cfg, out_channels, guide_channels, scale_factor)
    return ConvUpsample(in_channels, upsample)
