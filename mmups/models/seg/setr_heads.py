"""mmseg's heads of SETR with upsamplers after their convolutions.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/setr_up_head.py`` and
``setr_mla_head.py`` (Apache-2.0, OpenMMLab); held to them by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

import torch
from mmseg.models.decode_heads import SETRMLAHead as HostSETRMLAHead
from mmseg.models.decode_heads import SETRUPHead as HostSETRUPHead
from torch import Tensor, nn

from mmups.models.layers import register_slot, whole_factor
from mmups.models.upsamplers import build_upsampler

from .head import UpsamplingHead


def replace_upsamples(upsampler: Optional[dict], up_convs: nn.ModuleList,
                      channels: int) -> list[nn.Module]:
    """Take the Upsample off the end of each sequence; it, or what does its work instead."""
    modules = []
    for layers in up_convs:
        host = layers[-1]
        del layers[-1]
        modules.append(host if upsampler is None else build_upsampler(
            upsampler, channels, scale_factor=whole_factor(host.scale_factor)))
    return modules


@register_slot(HostSETRUPHead, optional=('logits_upsampler', ))
class SETRUPHead(UpsamplingHead, HostSETRUPHead):
    """Naive and progressive head of SETR: each convolution is followed by an upsampler of
    ``up_scale``. The slot has no guide.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's SETRUPHead.
    """

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        return replace_upsamples(upsampler, self.up_convs, self.channels)

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Maps of a transformer to logits, ``up_scale`` to the number of convolutions as large."""
        x = self._transform_inputs(x)
        n, c, h, w = x.shape
        x = self.norm(x.reshape(n, c, h * w).transpose(2, 1).contiguous())
        x = x.transpose(1, 2).reshape(n, c, h, w).contiguous()
        for conv, upsample in zip(self.up_convs, self.upsample_modules):
            x = upsample(conv(x))
        return self.cls_seg(x)


@register_slot(HostSETRMLAHead, optional=('logits_upsampler', ))
class SETRMLAHead(UpsamplingHead, HostSETRMLAHead):
    """Multi-level head of SETR: each map has two convolutions and an upsampler of ``up_scale``.
    The slot has no guide.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's SETRMLAHead.
    """

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        return replace_upsamples(upsampler, self.up_convs, self.mla_channels)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps of a transformer, all of one size, to logits ``up_scale`` times as large."""
        maps = self._transform_inputs(inputs)
        maps = [upsample(convs(x))
                for x, convs, upsample in zip(maps, self.up_convs, self.upsample_modules)]
        return self.cls_seg(torch.cat(maps, dim=1))
