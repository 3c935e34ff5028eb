"""mmseg's ICNeck with upsamplers in its cascade.

``CascadeFeatureFusion.forward`` follows mmseg 1.2.2, ``mmseg/models/necks/ic_neck.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from mmseg.models.necks import ICNeck as HostICNeck
from mmseg.models.necks.ic_neck import CascadeFeatureFusion as HostCascadeFeatureFusion
from torch import Tensor

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


class CascadeFeatureFusion(BaseModule):
    """The convolutions of mmseg's fusion; the finer map, as it comes in, is the guide.

    Args:
        host: mmseg's module; its convolutions and their keys are taken over.
        upsampler: The method and its arguments.
    """

    def __init__(self, host: HostCascadeFeatureFusion, upsampler: dict):
        super().__init__()
        self.conv_low = host.conv_low
        self.conv_high = host.conv_high
        self.upsample_modules = ModuleList([
            build_upsampler(upsampler, self.conv_low.in_channels,
                            guide_channels=self.conv_high.in_channels)])

    def forward(self, x_low: Tensor, x_high: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse and fine map to their fusion and the coarse one's part in it."""
        upsample = self.upsample_modules[0]
        if not upsample.any_size:  # ICNet rounds its middle map to a pixel too much for x2
            h, w = ((n + 1) // 2 for n in x_high.shape[2:])
            x_low = x_low[..., :h, :w]
        x_low = upsample(x_low, x_high, x_high.shape[2:])
        x_low = self.conv_low(x_low)
        return F.relu(x_low + self.conv_high(x_high)), x_low


@register_slot(HostICNeck)
class ICNeck(HostICNeck):
    """Neck of ICNet whose two steps, 1/32 to 1/16 and 1/16 to 1/8, are upsamplers.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's ICNeck.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None:
            self.cff_24 = CascadeFeatureFusion(self.cff_24, upsampler)
            self.cff_12 = CascadeFeatureFusion(self.cff_12, upsampler)
