"""mmdet's PanopticFPNHead with upsamplers between its convolutions.

``ConvUpsample.forward`` follows mmdet 3.3.0, ``mmdet/models/layers/conv_upsample.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from mmdet.models.seg_heads import PanopticFPNHead as HostPanopticFPNHead
from torch import Tensor

from mmups.models.layers import Parts, Step, UpsamplingPart, UpsamplingSlot, register_slot


class ConvUpsample(UpsamplingPart):
    """mmdet's ConvUpsample, whose first convolutions are each followed by an upsampler."""

    def host_steps(self) -> list[Step]:
        return [Step(conv.out_channels) for conv in self.conv[:self.num_upsample]]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, inner_channels, 2^n * h, 2^n * w), n upsamplers."""
        for i, conv in enumerate(self.conv):
            x = conv(x)
            if i < self.num_upsample:
                x = self.upsample_modules[i](x)
        return x


@register_slot(HostPanopticFPNHead)
class PanopticFPNHead(UpsamplingSlot, HostPanopticFPNHead):
    """Semantic head of Panoptic FPN whose x2 steps are upsamplers (1 + 2 + 3 of them)."""

    decided_by = ('start_level', 'end_level')

    def parts(self) -> Parts:
        for name, layer in self.conv_upsample_layers.named_children():
            yield self.conv_upsample_layers, name, ConvUpsample(layer)
