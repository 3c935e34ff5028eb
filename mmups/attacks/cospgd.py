"""CosPGD (Agnihotri, Jung and Keuper, ICML 2024, arXiv:2302.02213)."""
import torch.nn.functional as F
from torch import Tensor

from .attack import Attack, class_logits


class CosPGD(Attack):
    """A pixel counts the cosine between its softmax p and the one-hot target y: p_y / ||p||.

    1 minus that where the attack is targeted. Of numbers per pixel it is the cosine between the
    softmaxes of predicted and true values over their channels. With one channel all pixels count
    the same, and with colours in [0, 1] nearly so (a photograph and its blurred copy: 0.9995 and
    more in the mean): there CosPGD is PGD, or nearly. Arguments as of :class:`Attack`.
    """
    weighs_pixels = True

    def pixel_weights(self, logits: Tensor, target: Tensor, step: int) -> Tensor:
        p = class_logits(logits).softmax(1)
        valid = super().pixel_weights(logits, target, step)
        labels = target.masked_fill(valid == 0, 0)
        cosine = p.gather(1, labels[:, None])[:, 0] / p.norm(dim=1)
        return (1 - cosine if self.threat.targeted else cosine) * valid

    def value_weights(self, values: Tensor, target: Tensor) -> Tensor:
        if values.shape[1] == 1:
            return super().value_weights(values, target)
        cosine = F.cosine_similarity(values.softmax(1), target.softmax(1), dim=1)
        return 1 - cosine if self.threat.targeted else cosine
