"""mmseg's heads of SETR with upsamplers after their convolutions.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/setr_up_head.py`` and
``setr_mla_head.py`` (Apache-2.0, OpenMMLab); held to them by a parity test.
"""
from functools import partial

import torch
from mmseg.models import decode_heads as hosts
from mmseg.models.utils import Upsample
from torch import Tensor

from mmups.models.layers import Step, register_slot, split_image, upsample_by_image

from .head import UpsamplingHead


class UpsamplingSETRHead(UpsamplingHead):
    """What both share: ``upsample_modules`` in place of the last layer of each of ``up_convs``."""

    guide = 'the image, for methods that take it'

    def own_steps(self) -> list[Step]:
        return [Step(conv.out_channels, factor=up.scale_factor,
                     host=partial(Upsample, scale_factor=up.scale_factor, **self.bilinear),
                     image=True)
                for *_, conv, up in self.up_convs]

    def adapt(self) -> None:
        for layers in self.up_convs:
            del layers[-1]


@register_slot(hosts.SETRUPHead)
class SETRUPHead(UpsamplingSETRHead, hosts.SETRUPHead):
    """Naive and progressive head of SETR: an upsampler of ``up_scale`` after each convolution."""

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Maps of a transformer to logits, ``up_scale`` to the number of convolutions as large."""
        x, image = split_image(x, self.upsample_modules)
        x = self._transform_inputs(x)
        n, c, h, w = x.shape
        x = self.norm(x.reshape(n, c, h * w).transpose(2, 1).contiguous())
        x = x.transpose(1, 2).reshape(n, c, h, w).contiguous()
        for conv, upsample in zip(self.up_convs, self.upsample_modules):
            x = upsample_by_image(conv(x), image, upsample)
        return self.cls_seg(x)


@register_slot(hosts.SETRMLAHead)
class SETRMLAHead(UpsamplingSETRHead, hosts.SETRMLAHead):
    """Multi-level head of SETR: an upsampler of ``up_scale`` for each map."""

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps of a transformer, all of one size, to logits ``up_scale`` times as large."""
        inputs, image = split_image(inputs, self.upsample_modules)
        maps = self._transform_inputs(inputs)
        maps = [upsample_by_image(convs(x), image, upsample)
                for x, convs, upsample in zip(maps, self.up_convs, self.upsample_modules)]
        return self.cls_seg(torch.cat(maps, dim=1))
