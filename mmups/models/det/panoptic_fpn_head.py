"""mmdet's PanopticFPNHead with upsamplers between its convolutions.

``ConvUpsample.forward`` follows mmdet 3.3.0, ``mmdet/models/layers/conv_upsample.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from typing import Optional

from mmdet.models.layers import ConvUpsample as HostConvUpsample
from mmdet.models.seg_heads import PanopticFPNHead as HostPanopticFPNHead
from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


class ConvUpsample(BaseModule):
    """The convolutions of mmdet's ConvUpsample, the first ones each followed by an upsampler.

    Args:
        host: mmdet's module; its convolutions and their keys are taken over.
        upsampler: The method and its arguments; the slot has no guide.
    """

    def __init__(self, host: HostConvUpsample, upsampler: dict):
        super().__init__()
        self.conv = host.conv
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, self.conv[i].out_channels)
            for i in range(host.num_upsample))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, inner_channels, 2^n * h, 2^n * w), n upsamplers."""
        for i, conv in enumerate(self.conv):
            x = conv(x)
            if i < len(self.upsample_modules):
                x = self.upsample_modules[i](x)
        return x


@register_slot(HostPanopticFPNHead)
class PanopticFPNHead(HostPanopticFPNHead):
    """Semantic head of Panoptic FPN whose x2 steps are upsamplers (1 + 2 + 3 of them).

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmdet.
        kwargs: As in mmdet's PanopticFPNHead.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.conv_upsample_layers = ModuleList(
            ConvUpsample(layer, upsampler or dict(mode='bilinear'))
            for layer in self.conv_upsample_layers)
