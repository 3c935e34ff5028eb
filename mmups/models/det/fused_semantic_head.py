"""mmdet's FusedSemanticHead and SCNet's variant with upsamplers in front of their fusion."""
from mmdet.models.roi_heads import mask_heads as hosts
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, climb, ladder_steps


class UpsamplingSemanticHead(UpsamplingSlot):
    """Base of the slots in mmdet's FusedSemanticHead and those derived from it.

    Levels coarser than ``fusion_level`` climb to its size, as in :func:`climb`. Finer levels are
    resized as in mmdet.
    """

    decided_by = ('num_ins', 'fusion_level')
    guide = 'the next finer input map'

    def host_steps(self) -> list[Step]:
        return ladder_steps([self.in_channels] * (self.num_ins - self.fusion_level))

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """FPN maps, finest first, to logits and features at the size of ``fusion_level``."""
        if self.swapped:
            self.check_maps(feats, self.num_ins)
            finer, others = feats[:self.fusion_level], feats[self.fusion_level:]
            # mmdet resizes the coarser maps to the fusion's size, which they have by now.
            feats = [*finer, *climb(others, self.upsample_modules)]
        return super().forward(feats)


FusedSemanticHead = UpsamplingSemanticHead.of(
    hosts.FusedSemanticHead, __name__,
    'Semantic head of HTC: the coarser levels to the fusion level.')
SCNetSemanticHead = UpsamplingSemanticHead.of(
    hosts.SCNetSemanticHead, __name__, 'Semantic head of SCNet, likewise.')
