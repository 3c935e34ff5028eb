"""mmdet's RTMDet-Ins heads with upsamplers in their mask feature branch.

``MaskFeatures.forward`` follows ``MaskFeatModule`` of mmdet 3.3.0,
``mmdet/models/dense_heads/rtmdet_ins_head.py`` (Apache-2.0, OpenMMLab); held to it by a parity
test.
"""
from collections.abc import Sequence
from typing import Optional

import torch
from mmdet.models.dense_heads import RTMDetInsHead as HostRTMDetInsHead
from mmdet.models.dense_heads import RTMDetInsSepBNHead as HostRTMDetInsSepBNHead
from mmdet.models.dense_heads.rtmdet_ins_head import MaskFeatModule
from mmengine.model import BaseModule
from torch import Tensor

from mmups.models.layers import NoSite, UpsamplersLast, build_ladder, climb, register_slot


class MaskFeatures(BaseModule):
    """The convolutions of mmdet's MaskFeatModule behind a ladder of upsamplers.

    Args:
        host: mmdet's module; its convolutions and their keys are taken over.
        in_channels: Channels of the maps.
        upsampler: The method and its arguments.
    """

    def __init__(self, host: MaskFeatModule, in_channels: int, upsampler: dict):
        super().__init__()
        self.fusion_conv = host.fusion_conv
        self.stacked_convs = host.stacked_convs
        self.projection = host.projection
        self.upsample_modules = build_ladder(upsampler, [in_channels] * host.num_levels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps of the neck, finest first, to prototypes at the finest size."""
        x = self.fusion_conv(torch.cat(climb(features, self.upsample_modules), dim=1))
        return self.projection(self.stacked_convs(x))


class UpsamplingInsHead(UpsamplersLast):
    """Mixin before an RTMDet-Ins head: the levels of its mask feature branch climb to the finest
    in steps of x2, each guided by the input map of the next finer level.

    Args:
        upsampler: The method and its arguments; None: one interpolation per level, as in mmdet.

    Raises:
        NoSite: ``upsampler`` in a head of one level.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        if self.mask_head.num_levels < 2:
            raise NoSite(f'{type(self).__name__} with strides={self.prior_generator.strides} has '
                         'one level: there is nothing to upsample')
        self.mask_head = MaskFeatures(self.mask_head, self.in_channels, upsampler)


@register_slot(HostRTMDetInsHead)
class RTMDetInsHead(UpsamplingInsHead, HostRTMDetInsHead):
    """Head of RTMDet-Ins.

    Args:
        upsampler: As in :class:`UpsamplingInsHead`.
        kwargs: As in mmdet's RTMDetInsHead.
    """


@register_slot(HostRTMDetInsSepBNHead)
class RTMDetInsSepBNHead(UpsamplingInsHead, HostRTMDetInsSepBNHead):
    """Head of RTMDet-Ins with a normalisation per level, that of the published models.

    Args:
        upsampler: As in :class:`UpsamplingInsHead`.
        kwargs: As in mmdet's RTMDetInsSepBNHead.
    """
