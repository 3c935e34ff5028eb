"""mmdet's CondInst and BoxInst mask heads with upsamplers in their mask feature branch.

``CondInstMaskFeatures`` follows ``MaskFeatModule`` of mmdet 3.3.0,
``mmdet/models/dense_heads/condinst_head.py`` (Apache-2.0, OpenMMLab).
"""
from collections.abc import Sequence

from mmdet.models import dense_heads as hosts
from mmengine.model import kaiming_init
from torch import Tensor

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    ladder_steps,
    summands,
)


class CondInstMaskFeatures(UpsamplingPart):
    """mmdet's MaskFeatModule whose levels climb to the finest one, as in :func:`climb`."""

    def host_steps(self) -> list[Step]:
        return ladder_steps([self.feat_channels] * len(self.convs_all_levels))

    def init_weights(self) -> None:
        """As in mmdet, which draws the last convolution once more."""
        super().init_weights()
        kaiming_init(self.conv_pred, a=1, distribution='uniform')

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """All maps of the neck, finest first, to mask features at the size of the first used."""
        maps = [conv(y) for conv, y in zip(self.convs_all_levels, x[self.start_level:])]
        return self.conv_pred(self.conv_branch(sum(summands(maps, self.upsample_modules))))


class UpsamplingCondInstHead(UpsamplingSlot):
    """Base of the slots in CondInst's mask head and those derived from it.

    With an upsampler the maps may have any size.
    """

    decided_by = ('mask_feature_head.start_level', 'mask_feature_head.end_level')
    guide = 'the convolved map of the next finer level'

    def parts(self) -> Parts:
        yield self, 'mask_feature_head', CondInstMaskFeatures(self.mask_feature_head)


CondInstMaskHead = UpsamplingCondInstHead.of(
    hosts.CondInstMaskHead, __name__,
    'Mask head of CondInst: each level of its mask feature branch to the finest one.')
BoxInstMaskHead = UpsamplingCondInstHead.of(
    hosts.BoxInstMaskHead, __name__, 'Mask head of BoxInst, likewise.')
