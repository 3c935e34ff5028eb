"""mmseg's DepthwiseSeparableASPPHead (DeepLabV3+) with an upsampler in its decoder.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/sep_aspp_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

import torch
from mmseg.models.decode_heads import DepthwiseSeparableASPPHead as HostDepthwiseSeparableASPPHead
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler

from .head import UpsamplingHead


@register_slot(HostDepthwiseSeparableASPPHead, optional=('logits_upsampler', ))
class DepthwiseSeparableASPPHead(UpsamplingHead, HostDepthwiseSeparableASPPHead):
    """DeepLabV3+'s head, whose step to the low-level map is an upsampler guided by that map.

    The pooled image, one pixel, is spread as in mmseg.

    Args:
        upsampler: The method and its arguments, ``upsample_modules[0]``; None: bilinear, as in
            mmseg.
        scale_factor: Ratio of the low-level map (1/4) to the other one: 2 for a backbone of output
            stride 8, 4 for one of 16.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's DepthwiseSeparableASPPHead.

    Raises:
        NoSite: ``upsampler`` in a head without a decoder (``c1_in_channels=0``).
    """

    def __init__(self, *args, scale_factor: int = 2, **kwargs):
        self.scale_factor = scale_factor
        super().__init__(*args, **kwargs)

    @classmethod
    def site_args(cls, cfg: dict, sizes: Optional[list[tuple[int, int]]]) -> dict:
        """Keys that ``cfg`` needs for maps of these sizes: the factor between two of them.

        Raises:
            ValueError: ``cfg`` does not say the factor itself, and the sizes are unknown.
        """
        if 'scale_factor' in cfg or cfg.get('c1_in_channels') == 0:
            return {}
        index = cfg.get('in_index', -1)
        if sizes is None or not -len(sizes) <= index < len(sizes):
            raise ValueError('the sizes of its maps could not be found by running the backbone; '
                             'say in the config of the head what is between them: scale_factor=2 '
                             'for a backbone of output stride 8, scale_factor=4 for one of 16')
        return dict(scale_factor=round(sizes[0][0] / sizes[index][0]))

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        if self.c1_bottleneck is None:
            return super().build_upsamplers(upsampler)
        bilinear = dict(mode='bilinear', align_corners=self.align_corners)
        return [build_upsampler(upsampler or bilinear, self.channels,
                                guide_channels=self.c1_bottleneck.out_channels,
                                scale_factor=self.scale_factor)]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, of which the first is the low-level one, to logits of its size."""
        output = self._forward_feature(inputs)
        if self.c1_bottleneck is not None:
            c1 = self.c1_bottleneck(inputs[0])
            output = self.upsample_modules[0](output, c1, c1.shape[2:])
            output = torch.cat([output, c1], dim=1)
        return self.cls_seg(self.sep_bottleneck(output))
