"""mmseg's SegformerHead with upsamplers instead of its resizing.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/segformer_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.decode_heads import SegformerHead as HostSegformerHead
from torch import Tensor

from mmups.models.layers import Step, climb, register_slot

from .head import UpsamplingHead


@register_slot(HostSegformerHead)
class SegformerHead(UpsamplingHead, HostSegformerHead):
    """All-MLP head whose maps climb to 1/4 in x2 steps: 3 + 2 + 1 upsamplers for four levels.

    ``upsample_modules[0:3]`` lift the 1/32 map, 3 and 4 the 1/16 map, 5 the 1/8 map. With
    ``direct=True`` there are three, of x8, x4 and x2, in that order.
    """

    guide = 'the embedded map of the next finer level'

    def own_steps(self) -> list[Step]:
        resize = dict(mode=self.interpolate_mode, align_corners=self.align_corners)
        return self.ladder([self.channels] * len(self.in_channels), host=resize)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, 1/4 to 1/32, to logits at 1/4."""
        inputs = self._transform_inputs(inputs)
        maps = climb([conv(x) for conv, x in zip(self.convs, inputs)], self.upsample_modules)
        return self.cls_seg(self.fusion_conv(torch.cat(maps, dim=1)))
