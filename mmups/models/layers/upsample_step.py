"""What takes the place of a host's interpolation layer that is called with a map alone."""
from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mmups.models.upsamplers import build_upsampler


class UpsampleStep(BaseModule):
    """One upsampler without a guide, in ``upsample_modules`` as everywhere.

    Args:
        upsampler: The method and its arguments.
        in_channels: As in :func:`build_upsampler`.
        scale_factor: As in :func:`build_upsampler`.
    """

    def __init__(self, upsampler: dict, in_channels: int, scale_factor: int = 2):
        super().__init__()
        self.upsample_modules = ModuleList(
            [build_upsampler(upsampler, in_channels, scale_factor=scale_factor)])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, s*h, s*w)."""
        return self.upsample_modules[0](x)
