"""mmseg's UPerHead with upsamplers in its top-down path and, if wanted, its fusion.

``_forward_feature`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/uper_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.decode_heads import UPerHead as HostUPerHead
from torch import Tensor

from mmups.models.layers import Step, climb, register_slot, top_down

from .head import UpsamplingHead


@register_slot(HostUPerHead)
class UPerHead(UpsamplingHead, HostUPerHead):
    """UPerNet's head, whose maps meet twice: level by level, and all of them at the finest one.

    ``upsample_modules[i]`` takes level i+1 to level i; for four levels these are three. The rungs
    of the fusion follow, six of them, ordered as in SegformerHead and guided by the convolved map
    of the next finer level.

    Args:
        args, kwargs: As in :class:`UpsamplingHead` and mmseg's UPerHead.
        fusion_upsampler: The method and its arguments in the fusion; None: bilinear, as in mmseg.
    """

    optional = ('fusion_upsampler', 'logits_upsampler')
    guide = 'the lateral map'

    def own_steps(self) -> list[Step]:
        levels = [self.channels] * len(self.in_channels)
        return [*(Step(c, c, host=self.bilinear) for c in levels[1:]),
                *self.ladder(levels, key='fusion_upsampler', host=self.bilinear)]

    def _forward_feature(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps to the features before the logits, of the finest map's size."""
        inputs = self._transform_inputs(inputs)
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        laterals.append(self.psp_forward(inputs))
        laterals = top_down(laterals, self.upsamplers_of('upsampler'))
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)] + laterals[-1:]
        maps = climb(outs, self.upsamplers_of('fusion_upsampler'))
        return self.fpn_bottleneck(torch.cat(maps, dim=1))
