"""mmseg's JPU (FastFCN) with upsamplers instead of its resizing.

``forward`` follows mmseg 1.2.2, ``mmseg/models/necks/jpu.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
import torch
from mmseg.models.necks import JPU as HostJPU
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, climb, ladder_steps, register_slot


@register_slot(HostJPU)
class JPU(UpsamplingSlot, HostJPU):
    """Joint pyramid upsampling whose maps climb to the finest one in steps of x2."""

    decided_by = ('start_level', 'backbone_end_level')
    guide = 'the convolved map of the next finer level'

    def host_steps(self) -> list[Step]:
        return ladder_steps([self.mid_channels] * len(self.conv_layers),
                            host=dict(mode='bilinear', align_corners=self.align_corners))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to all but the last of them and the joint map."""
        self.check_maps(inputs, len(self.in_channels))
        inputs = inputs[self.start_level:self.backbone_end_level]
        maps = climb([conv(x) for conv, x in zip(self.conv_layers, inputs)], self.upsample_modules)
        x = torch.cat(maps, dim=1)
        return (*inputs[:-1], torch.cat([layer(x) for layer in self.dilation_layers], dim=1))
