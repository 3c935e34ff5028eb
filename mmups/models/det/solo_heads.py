"""mmdet's SOLO heads with upsamplers: the mask feature branch of SOLOv2, the coarsest map of SOLO.

``SOLOV2MaskFeatures.forward`` and ``resize_feats`` follow mmdet 3.3.0,
``mmdet/models/dense_heads/solov2_head.py`` and ``solo_head.py`` (Apache-2.0, OpenMMLab); held to
them by parity tests.
"""
from collections.abc import Sequence

import torch
from mmdet.models import dense_heads as hosts
from mmdet.models.utils import generate_coordinate
from torch import Tensor

from mmups.models.layers import Parts, Step, UpsamplingPart, UpsamplingSlot, register_slot


class SOLOV2MaskFeatures(UpsamplingPart):
    """mmdet's MaskFeatModule with upsamplers between its convolutions.

    Level i takes i steps to the size of level 0; ``upsample_modules`` holds those of the finest
    level first.
    """

    def host_steps(self) -> list[Step]:
        return [Step(self.feat_channels, self.in_channels)
                for level in range(self.start_level, self.end_level + 1) for _ in range(level)]

    def adapt(self) -> None:
        for level, convs in enumerate(self.convs_all_levels, self.start_level):
            for i in range(level):
                delattr(convs, f'upsample{i}')

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """All maps of the neck, finest first, to mask features at the finest size."""
        upsamplers = iter(self.upsample_modules)
        lifted = []
        for level, convs in enumerate(self.convs_all_levels, self.start_level):
            y = x[level]
            if level == self.end_level:
                y = torch.cat([y, generate_coordinate(y.size(), y.device)], dim=1)
            for conv in convs:
                y = conv(y)
                if level > 0:
                    level -= 1
                    y = next(upsamplers)(y, x[level], x[level].shape[2:])
            lifted.append(y)
        return self.conv_pred(sum(lifted))


@register_slot(hosts.SOLOV2Head)
class SOLOV2Head(UpsamplingSlot, hosts.SOLOV2Head):
    """Head of SOLOv2 whose mask feature branch has upsamplers, 1 + 2 + 3 for four levels.

    With an upsampler the maps may have any size.
    """

    decided_by = ('mask_feature_head.end_level', )
    guide = 'the next finer input map'

    def parts(self) -> Parts:
        yield self, 'mask_feature_head', SOLOV2MaskFeatures(self.mask_feature_head)


class UpsamplingSOLOHead(UpsamplingSlot):
    """Base of the slots in SOLO's heads: the coarsest map comes to the size of the next."""

    decided_by = ('strides', )
    guide = 'the next finer input map'

    def host_steps(self) -> list[Step]:
        return [Step(self.in_channels, self.in_channels)] if self.num_levels > 1 else []

    def resize_feats(self, x: Sequence[Tensor]) -> list[Tensor]:
        """The maps of the neck, with those at both ends brought to the size of their neighbour."""
        if not self.swapped:
            return super().resize_feats(x)
        *finer, coarsest = x
        up = self.upsample_modules[0](coarsest, finer[-1], finer[-1].shape[2:])
        # mmdet resizes the map at the end to its neighbour's size, which it has by now.
        return super().resize_feats([*finer, up])


SOLOHead = UpsamplingSOLOHead.of(hosts.SOLOHead, __name__, 'Head of SOLO: its coarsest map.')
DecoupledSOLOHead = UpsamplingSOLOHead.of(
    hosts.DecoupledSOLOHead, __name__, 'Head of Decoupled SOLO, likewise.')
DecoupledSOLOLightHead = UpsamplingSOLOHead.of(
    hosts.DecoupledSOLOLightHead, __name__, 'Head of Decoupled SOLO, the light one, likewise.')
