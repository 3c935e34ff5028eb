"""What takes the place of a transposed convolution that changes the number of channels."""
from typing import Optional, Union

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler


class UpConv(BaseModule):
    """An upsampler, and a 1x1 convolution to other channels.

    Args:
        upsample: The upsampler.
        out_channels: Channels of the result.
    """

    def __init__(self, upsample: BaseUpsampler, out_channels: int):
        super().__init__()
        self.upsample = upsample
        self.conv = nn.Conv2d(upsample.in_channels, out_channels, 1)

    @property
    def enhances_guide(self) -> bool:
        return self.upsample.enhances_guide

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None, fuse: bool = False
                ) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """(N, in_channels, h, w) to (N, out_channels, 2h, 2w), or to ``size``; with ``fuse`` also
        the guide, as of the upsampler."""
        if not fuse:
            return self.conv(self.upsample(x, guide, size))
        out, guide = self.upsample(x, guide, size, fuse=True)
        return self.conv(out), guide
