"""mmseg's SegformerHead with upsamplers instead of its resizing.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/segformer_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch
from mmengine.model import ModuleList
from mmseg.models.decode_heads import SegformerHead as HostSegformerHead
from torch import Tensor

from mmups.models.layers import climb
from mmups.models.upsamplers import build_upsampler
from mmups.registry import MODELS


@MODELS.register_module()
class SegformerHead(HostSegformerHead):
    """All-MLP head whose maps climb to 1/4 in x2 steps: 3 + 2 + 1 upsamplers for four levels.

    ``upsample_modules[0:3]`` lift the 1/32 map, 3 and 4 the 1/16 map, 5 the 1/8 map. The guide
    of each step is the embedded map of the next finer level.

    Args:
        interpolate_mode: mmseg's; what None for ``upsampler`` means.
        upsampler: The method and its arguments; None: one interpolation per level, as in mmseg.
        kwargs: As in mmseg's SegformerHead.
    """

    def __init__(self, interpolate_mode: str = 'bilinear', upsampler: Optional[dict] = None,
                 **kwargs):
        super().__init__(interpolate_mode=interpolate_mode, **kwargs)
        upsampler = upsampler or dict(mode=interpolate_mode, align_corners=self.align_corners)
        levels = len(self.in_channels)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, self.channels, guide_channels=self.channels)
            for _ in range(levels * (levels - 1) // 2))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, 1/4 to 1/32, to logits at 1/4."""
        inputs = self._transform_inputs(inputs)
        maps = climb([conv(x) for conv, x in zip(self.convs, inputs)], self.upsample_modules)
        return self.cls_seg(self.fusion_conv(torch.cat(maps, dim=1)))
