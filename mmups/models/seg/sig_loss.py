"""The scale-invariant loss of DepthFormer.

Eigen, Puhrsch and Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep
Network" (arXiv:1406.2283), in the form of Bhat et al., "AdaBins" (arXiv:2011.14141), as the
Monocular-Depth-Estimation-Toolbox (Apache-2.0; none of its code was read) has it.

Deviations: AdaBins multiplies it by 10, the toolbox does not; ``loss_weight`` can. Where a batch
has fewer than two valid pixels the toolbox's is NaN, and this is finite.
"""
from torch import Tensor, nn

from mmups.registry import MODELS

#: Share of the squared mean, and what is added to depths in metres before the logarithm.
MEAN_SHARE, OFFSET = 0.15, 1e-3
#: Below it the root's gradient is taken for zero.
TINY = 1e-12


@MODELS.register_module()
class SigLoss(nn.Module):
    """sqrt(var(g) + 0.15 mean(g)^2) over the valid pixels of a batch, where g is the difference of
    the logarithms of prediction and truth.

    Valid are finite depths above 0. A batch without any costs nothing, and has zero gradients.

    Args:
        loss_weight: Factor.
        warm_up: For so many first calls in training mode the loss is sqrt(0.15 mean(g)^2) alone,
            which helps a head that regresses depth directly; the toolbox takes 100.
        loss_name: Name in the log.
    """

    def __init__(self, loss_weight: float = 1., warm_up: int = 0, loss_name: str = 'loss_depth'):
        super().__init__()
        self.loss_weight, self.warm_up, self._loss_name = loss_weight, warm_up, loss_name
        self._calls = 0

    @property
    def loss_name(self) -> str:
        return self._loss_name

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            pred: Depths in metres, 0 or more.
            target: True ones, of the same shape.
        """
        valid = (target > 0) & target.isfinite()
        if not valid.any():
            return pred.sum() * 0.
        g = (pred[valid].float() + OFFSET).log() - (target[valid].float() + OFFSET).log()
        square = MEAN_SHARE * g.mean().square()
        self._calls += self.training
        if g.numel() > 1 and not (self.training and self._calls <= self.warm_up):
            square = square + g.var()
        return self.loss_weight * square.clamp_min(TINY).sqrt()
