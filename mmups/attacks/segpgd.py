"""SegPGD (Gu et al., ECCV 2022, arXiv:2207.12391)."""
import torch
from torch import Tensor

from .attack import Attack, class_logits


class SegPGD(Attack):
    """Looks at correct pixels first, and at wrong ones more and more.

    With lambda = t / (2 T) after t of T steps, pixels that are predicted as the target count
    1 - lambda, others lambda; the other way round where the attack is targeted. In l2 as CosPGD
    extends it. Arguments as of :class:`Attack`.
    """
    anytime = False
    weighs_pixels = True

    def pixel_weights(self, logits: Tensor, target: Tensor, step: int) -> Tensor:
        share = step / (2 * self.threat.steps)
        hit = class_logits(logits).argmax(1) == target
        weights = torch.where(hit != self.threat.targeted, 1 - share, share)
        return weights * super().pixel_weights(logits, target, step)

    def value_weights(self, values: Tensor, target: Tensor) -> Tensor:
        raise ValueError('segpgd tells right pixels from wrong ones, and numbers are neither: '
                         'attack a regression with pgd')
