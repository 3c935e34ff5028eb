"""mmdet's PanopticFPNHead with upsamplers between its convolutions.

``ConvUpsample.forward`` follows mmdet 3.3.0, ``mmdet/models/layers/conv_upsample.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from typing import Optional

from mmdet.models.layers import ConvUpsample as HostConvUpsample
from mmdet.models.seg_heads import PanopticFPNHead as HostPanopticFPNHead
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.upsamplers import build_upsampler
from mmups.registry import MODELS


class ConvUpsample(HostConvUpsample):
    """Convolutions, the first ``num_upsample`` of them each followed by an upsampler.

    Args:
        in_channels, inner_channels: Channels before and after the first convolution.
        upsampler: The method and its arguments; the slot has no guide.
        kwargs: As in mmdet's ConvUpsample.
    """

    def __init__(self, in_channels: int, inner_channels: int, *, upsampler: dict, **kwargs):
        super().__init__(in_channels, inner_channels, **kwargs)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, inner_channels) for _ in range(self.num_upsample))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, inner_channels, 2^n * h, 2^n * w), n upsamplers."""
        for i, conv in enumerate(self.conv):
            x = conv(x)
            if i < self.num_upsample:
                x = self.upsample_modules[i](x)
        return x


@MODELS.register_module()
class PanopticFPNHead(HostPanopticFPNHead):
    """Semantic head of Panoptic FPN whose x2 steps are upsamplers (1 + 2 + 3 of them).

    Args:
        in_channels, inner_channels, conv_cfg, norm_cfg: As in mmdet's PanopticFPNHead, and so
            are all other keys.
        upsampler: The method and its arguments; None: bilinear, as in mmdet.
    """

    def __init__(self, *, in_channels: int = 256, inner_channels: int = 128,
                 conv_cfg: Optional[dict] = None, norm_cfg: Optional[dict] = None,
                 upsampler: Optional[dict] = None, **kwargs):
        norm_cfg = norm_cfg or dict(type='GN', num_groups=32, requires_grad=True)
        convs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        super().__init__(in_channels=in_channels, inner_channels=inner_channels, **convs, **kwargs)
        self.conv_upsample_layers = ModuleList(
            ConvUpsample(in_channels, inner_channels, num_layers=layer.num_layers,
                         num_upsample=layer.num_upsample, **convs,
                         upsampler=upsampler or dict(mode='bilinear'))
            for layer in self.conv_upsample_layers)
