"""mmdet's CondInst and BoxInst mask heads with upsamplers in their mask feature branch.

``MaskFeatures.forward`` follows ``MaskFeatModule`` of mmdet 3.3.0,
``mmdet/models/dense_heads/condinst_head.py`` (Apache-2.0, OpenMMLab).
"""
from collections.abc import Sequence
from typing import Optional

from mmdet.models.dense_heads import BoxInstMaskHead as HostBoxInstMaskHead
from mmdet.models.dense_heads import CondInstMaskHead as HostCondInstMaskHead
from mmdet.models.dense_heads.condinst_head import MaskFeatModule
from torch import Tensor

from mmups.models.layers import NoSite, build_ladder, climb, register_slot


class MaskFeatures(MaskFeatModule):
    """mmdet's MaskFeatModule whose levels climb to the finest in steps of x2.

    Args:
        upsampler: The method and its arguments. The guide of each step is the convolved map of
            the next finer level.
        kwargs: As in mmdet's MaskFeatModule.

    Raises:
        NoSite: The branch has one level.
    """

    def __init__(self, *args, upsampler: dict, **kwargs):
        super().__init__(*args, **kwargs)
        levels = len(self.convs_all_levels)
        if levels < 2:
            raise NoSite(f'mask_feature_head with start_level={self.start_level}, end_level='
                         f'{self.end_level} has one level: there is nothing to upsample')
        self.upsample_modules = build_ladder(upsampler, [self.feat_channels] * levels)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """All maps of the neck, finest first, to mask features at the size of the first used."""
        maps = [conv(y) for conv, y in zip(self.convs_all_levels, x[self.start_level:])]
        maps = climb(maps, self.upsample_modules)
        if self.upsample_modules[0].includes_guide:  # the first map, in each of the others
            maps = maps[1:]
        return self.conv_pred(self.conv_branch(sum(maps)))


class UpsamplingCondInstHead:
    """Mixin before CondInst's mask head or a class derived from it.

    Args:
        mask_feature_head: As in mmdet.
        upsampler: The method and its arguments, as in :class:`MaskFeatures`; None: mmdet's
            ``aligned_bilinear``. With an upsampler the maps may have any size.
    """

    def __init__(self, mask_feature_head: dict, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(mask_feature_head, *args, **kwargs)
        if upsampler is not None:
            self.mask_feature_head = MaskFeatures(**mask_feature_head, upsampler=upsampler)


@register_slot(HostCondInstMaskHead)
class CondInstMaskHead(UpsamplingCondInstHead, HostCondInstMaskHead):
    """Mask head of CondInst.

    Args:
        upsampler: As in :class:`UpsamplingCondInstHead`.
        kwargs: As in mmdet's CondInstMaskHead.
    """


@register_slot(HostBoxInstMaskHead)
class BoxInstMaskHead(UpsamplingCondInstHead, HostBoxInstMaskHead):
    """Mask head of BoxInst.

    Args:
        upsampler: As in :class:`UpsamplingCondInstHead`.
        kwargs: As in mmdet's BoxInstMaskHead.
    """
