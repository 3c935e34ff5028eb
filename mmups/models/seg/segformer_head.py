"""mmseg's SegformerHead with upsamplers instead of its resizing.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/segformer_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

import torch
from mmseg.models.decode_heads import SegformerHead as HostSegformerHead
from torch import Tensor, nn

from mmups.models.layers import build_ladder, climb, register_slot

from .head import UpsamplingHead


@register_slot(HostSegformerHead, optional=('logits_upsampler', ))
class SegformerHead(UpsamplingHead, HostSegformerHead):
    """All-MLP head whose maps climb to 1/4 in x2 steps: 3 + 2 + 1 upsamplers for four levels.

    ``upsample_modules[0:3]`` lift the 1/32 map, 3 and 4 the 1/16 map, 5 the 1/8 map. The guide
    of each step is the embedded map of the next finer level.

    Args:
        upsampler: The method and its arguments; None: one interpolation per level, as in mmseg.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's SegformerHead.
    """

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        resize = dict(mode=self.interpolate_mode, align_corners=self.align_corners)
        return build_ladder(upsampler or resize, [self.channels] * len(self.in_channels))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, 1/4 to 1/32, to logits at 1/4."""
        inputs = self._transform_inputs(inputs)
        maps = climb([conv(x) for conv, x in zip(self.convs, inputs)], self.upsample_modules)
        return self.cls_seg(self.fusion_conv(torch.cat(maps, dim=1)))
