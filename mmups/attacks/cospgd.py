"""CosPGD (Agnihotri, Jung and Keuper, ICML 2024, arXiv:2302.02213)."""
from torch import Tensor

from .attack import Attack, class_logits


class CosPGD(Attack):
    """A pixel counts the cosine between its softmax p and the one-hot target y: p_y / ||p||.

    1 minus that where the attack is targeted. Arguments as of :class:`Attack`.
    """
    weighs_pixels = True

    def pixel_weights(self, logits: Tensor, target: Tensor, step: int) -> Tensor:
        p = class_logits(logits).softmax(1)
        valid = super().pixel_weights(logits, target, step)
        labels = target.masked_fill(valid == 0, 0)
        cosine = p.gather(1, labels[:, None])[:, 0] / p.norm(dim=1)
        return (1 - cosine if self.threat.targeted else cosine) * valid
