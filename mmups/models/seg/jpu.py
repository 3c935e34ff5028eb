"""mmseg's JPU (FastFCN) with upsamplers instead of its resizing.

``forward`` follows mmseg 1.2.2, ``mmseg/models/necks/jpu.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from typing import Optional

import torch
from mmseg.models.necks import JPU as HostJPU
from torch import Tensor

from mmups.models.layers import NoSite, build_ladder, climb, register_slot


@register_slot(HostJPU)
class JPU(HostJPU):
    """Joint pyramid upsampling whose maps climb to the finest one in steps of x2.

    The guide of each step is the convolved map of the level it reaches.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's JPU.

    Raises:
        NoSite: ``upsampler`` in a JPU of one level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        levels = len(self.conv_layers)
        if upsampler is not None and levels == 1:
            raise NoSite(f'JPU with start_level={self.start_level} for {self.num_ins} maps has one '
                         'level: there is nothing to upsample')
        resize = dict(mode='bilinear', align_corners=self.align_corners)
        self.upsample_modules = build_ladder(upsampler or resize, [self.mid_channels] * levels)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to all but the last of them and the joint map."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this JPU was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        inputs = inputs[self.start_level:self.backbone_end_level]
        maps = climb([conv(x) for conv, x in zip(self.conv_layers, inputs)], self.upsample_modules)
        x = torch.cat(maps, dim=1)
        return (*inputs[:-1], torch.cat([layer(x) for layer in self.dilation_layers], dim=1))
