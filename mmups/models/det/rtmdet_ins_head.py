"""mmdet's RTMDet-Ins heads with upsamplers in their mask feature branch.

``RTMDetMaskFeatures.forward`` follows ``MaskFeatModule`` of mmdet 3.3.0,
``mmdet/models/dense_heads/rtmdet_ins_head.py`` (Apache-2.0, OpenMMLab); held to it by a parity
test.
"""
from collections.abc import Sequence

import torch
from mmdet.models import dense_heads as hosts
from torch import Tensor

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    climb,
    ladder_steps,
)


class RTMDetMaskFeatures(UpsamplingPart):
    """mmdet's MaskFeatModule whose levels climb to the finest one, as in :func:`climb`."""

    def host_steps(self) -> list[Step]:
        return ladder_steps([self.fusion_conv.out_channels] * self.num_levels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps of the neck, finest first, to prototypes at the finest size."""
        maps = climb(features[:self.num_levels], self.upsample_modules)
        return self.projection(self.stacked_convs(self.fusion_conv(torch.cat(maps, dim=1))))


class UpsamplingInsHead(UpsamplingSlot):
    """Base of the slots in RTMDet-Ins' heads."""

    decided_by = ('prior_generator.strides', )
    guide = 'the next finer input map'
    host_draws_all = True

    def parts(self) -> Parts:
        yield self, 'mask_head', RTMDetMaskFeatures(self.mask_head)


RTMDetInsHead = UpsamplingInsHead.of(
    hosts.RTMDetInsHead, __name__,
    'Head of RTMDet-Ins: each level of its mask feature branch to the finest one.')
RTMDetInsSepBNHead = UpsamplingInsHead.of(
    hosts.RTMDetInsSepBNHead, __name__,
    'Likewise with a normalisation per level, the head of the published models.')
