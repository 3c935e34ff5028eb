"""An attack on both views at once."""
from typing import Optional

import torch
from torch import Tensor

from mmups.attacks import Attack

from .network import CorrelationNet


def attack_views(model: CorrelationNet, attack: Attack, inputs: Tensor, data_samples: dict,
                 generator: Optional[torch.Generator] = None) -> Tensor:
    """Views that raise the mean error of disparity where it is known.

    Both views are one tensor: they have the same budget, and each its own random start and its own
    steps. What CosPGD and SegPGD weigh pixels by are probabilities of classes, which disparity has
    not; here they are PGD.

    Args:
        model: In eval mode.
        attack: Of :mod:`mmups.attacks`.
        inputs: As in :class:`CorrelationNet`.
        data_samples: Likewise.
        generator: Of the random start.

    Returns:
        (N, 6, H, W) in [0, 1].
    """
    def loss_of(views: Tensor) -> Tensor:
        error = (model(views) - data_samples['disparity']).abs() * data_samples['valid']
        return error.sum((1, 2)) / data_samples['valid'].sum((1, 2)).clamp_min(1)

    return attack.attack_loss(loss_of, inputs, generator=generator)
