"""mmseg's ICNeck with upsamplers in its cascade.

``CascadeFeatureFusion.forward`` follows mmseg 1.2.2, ``mmseg/models/necks/ic_neck.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch.nn.functional as F
from mmseg.models.necks import ICNeck as HostICNeck
from torch import Tensor

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    crop_to_half,
    register_slot,
)


class CascadeFeatureFusion(UpsamplingPart):
    """mmseg's fusion of a coarse and a fine map with an upsampler for the coarse one."""

    def host_steps(self) -> list[Step]:
        return [Step(self.conv_low.in_channels, self.conv_high.in_channels)]

    def forward(self, x_low: Tensor, x_high: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse and fine map to their fusion and the coarse one's part in it."""
        upsample, size = self.upsample_modules[0], x_high.shape[2:]
        x_low = crop_to_half(x_low, size, upsample)  # ICNet rounds its middle map up
        x_low = self.conv_low(upsample(x_low, x_high, size))
        return F.relu(x_low + self.conv_high(x_high)), x_low


@register_slot(HostICNeck)
class ICNeck(UpsamplingSlot, HostICNeck):
    """Neck of ICNet whose two steps, 1/32 to 1/16 and 1/16 to 1/8, are upsamplers."""

    guide = 'the finer input map'

    def parts(self) -> Parts:
        for name in ('cff_24', 'cff_12'):
            yield self, name, CascadeFeatureFusion(getattr(self, name))
