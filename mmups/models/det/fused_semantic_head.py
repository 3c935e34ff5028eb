"""mmdet's FusedSemanticHead and SCNet's variant with upsamplers in front of their fusion.

``forward`` follows mmdet 3.3.0, ``mmdet/models/roi_heads/mask_heads/fused_semantic_head.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch.nn.functional as F
from mmdet.models.roi_heads.mask_heads import FusedSemanticHead as HostFusedSemanticHead
from mmdet.models.roi_heads.mask_heads import SCNetSemanticHead as HostSCNetSemanticHead
from torch import Tensor

from mmups.models.layers import NoSite, build_ladder, climb, register_slot


class UpsamplingSemanticHead:
    """Mixin before mmdet's FusedSemanticHead or a class derived from it.

    Levels coarser than ``fusion_level`` climb to its size in steps of x2, as in :func:`climb`,
    guided by the input map of the next finer level. Finer levels are resized as in mmdet.

    Args:
        upsampler: The method and its arguments; None: one interpolation per level, as in mmdet.

    Raises:
        NoSite: ``upsampler`` where no level is coarser than ``fusion_level``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        levels = self.num_ins - self.fusion_level
        if upsampler is not None and levels < 2:
            raise NoSite(f'{type(self).__name__} with num_ins={self.num_ins}, fusion_level='
                         f'{self.fusion_level} fuses at its coarsest map: there is nothing to '
                         'upsample')
        resize = dict(mode='bilinear', align_corners=True)
        self.upsample_modules = build_ladder(upsampler or resize, [self.in_channels] * levels)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """FPN maps, finest first, to logits and features at the size of ``fusion_level``."""
        fusion = self.fusion_level
        size = feats[fusion].shape[2:]
        maps = [F.interpolate(x, size=size, mode='bilinear', align_corners=True)
                for x in feats[:fusion]]
        maps += climb(feats[fusion:], self.upsample_modules)
        x = self.lateral_convs[fusion](maps[fusion])
        for i, conv in enumerate(self.lateral_convs):
            if i != fusion:
                x = x + conv(maps[i])
        for conv in self.convs:
            x = conv(x)
        return self.conv_logits(x), self.conv_embedding(x)


@register_slot(HostFusedSemanticHead)
class FusedSemanticHead(UpsamplingSemanticHead, HostFusedSemanticHead):
    """Semantic head of HTC.

    Args:
        upsampler: As in :class:`UpsamplingSemanticHead`.
        kwargs: As in mmdet's FusedSemanticHead.
    """


@register_slot(HostSCNetSemanticHead)
class SCNetSemanticHead(UpsamplingSemanticHead, HostSCNetSemanticHead):
    """Semantic head of SCNet.

    Args:
        upsampler: As in :class:`UpsamplingSemanticHead`.
        kwargs: As in mmdet's SCNetSemanticHead.
    """
