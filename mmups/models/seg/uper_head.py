"""mmseg's UPerHead with upsamplers in its top-down path and, if wanted, its fusion.

``_forward_feature`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/uper_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

import torch
from mmseg.models.decode_heads import UPerHead as HostUPerHead
from torch import Tensor, nn

from mmups.models.layers import build_ladder, climb, register_slot, top_down
from mmups.models.upsamplers import build_upsampler

from .head import UpsamplingHead


@register_slot(HostUPerHead, optional=('fusion_upsampler', 'logits_upsampler'))
class UPerHead(UpsamplingHead, HostUPerHead):
    """UPerNet's head, whose maps meet twice: level by level, and all of them at the finest one.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i; for
    four levels these are three. The rungs of the fusion follow, six of them, ordered as in
    SegformerHead and guided by the convolved map of the next finer level.

    Args:
        upsampler: The method and its arguments in the top-down path; None: bilinear, as in mmseg.
        fusion_upsampler: The same for the fusion.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's UPerHead.
    """

    def __init__(self, *args, fusion_upsampler: Optional[dict] = None, **kwargs):
        self._fusion_upsampler = fusion_upsampler
        super().__init__(*args, **kwargs)

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        resize = dict(mode='bilinear', align_corners=self.align_corners)
        levels = [self.channels] * len(self.in_channels)
        top_down_modules = [build_upsampler(upsampler or resize, c, guide_channels=c)
                            for c in levels[1:]]
        rungs = build_ladder(self._fusion_upsampler or resize, levels)
        return [*top_down_modules, *rungs] or super().build_upsamplers(
            upsampler or self._fusion_upsampler)

    def _forward_feature(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps to the features before the logits, of the finest map's size."""
        inputs = self._transform_inputs(inputs)
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        laterals.append(self.psp_forward(inputs))
        laterals = top_down(laterals, self.upsample_modules)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)] + laterals[-1:]
        rungs = list(self.upsample_modules)[len(self.fpn_convs):]
        return self.fpn_bottleneck(torch.cat(climb(outs, rungs), dim=1))
