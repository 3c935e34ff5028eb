"""What takes the place of a host's interpolation layer that is called with a map alone."""
from typing import Any

from torch import Tensor, nn

from .slot import Step, UpsamplingPart


class UpsampleStep(UpsamplingPart):
    """One upsampler without a guide, in ``upsample_modules`` as everywhere.

    Args:
        host: The layer.
        channels: Channels of the map.
        factor: As in :class:`Step`.
    """

    def __init__(self, host: nn.Module, channels: int, factor: Any = 2):
        super().__init__(host, [Step(channels, factor=factor)])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, s*h, s*w)."""
        return self.upsample_modules[0](x)
