"""What takes the place of a transposed convolution that changes the number of channels."""
from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.upsamplers import build_upsampler


class UpConv(BaseModule):
    """An upsampler, and a 1x1 convolution to other channels.

    Args:
        upsampler: The method and its arguments.
        in_channels: Channels of the map to upsample.
        out_channels: Channels of the result.
        guide_channels: As in :func:`build_upsampler`.
    """

    def __init__(self, upsampler: dict, in_channels: int, out_channels: int,
                 guide_channels: Optional[int] = None):
        super().__init__()
        self.upsample = build_upsampler(upsampler, in_channels, guide_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None) -> Tensor:
        """(N, in_channels, h, w) to (N, out_channels, 2h, 2w), or to ``size``."""
        return self.conv(self.upsample(x, guide, size))
