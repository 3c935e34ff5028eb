"""Overlap of label maps, per class, and what follows from it: IoU, accuracy, stability.

Counts of several pictures add up, so every mean here is one over a data set. A class that occurs
in neither map has no IoU (NaN) and is left out of the mean, as in mmseg's IoUMetric.
"""
from typing import NamedTuple, Optional, Union

import numpy as np
import torch
from torch import Tensor

#: Label of a pixel that belongs to no class.
NO_CLASS = -1


class Stability(NamedTuple):
    """How far two predictions of the same picture are the same, as fractions."""
    agreement: float  #: share of pixels with the same label
    miou: float  #: mean IoU over the classes that occur in either


def intersect_and_union(pred: Tensor, target: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Pixels of every class in both maps and in either.

    Args:
        pred: Labels 0 .. K-1, or :data:`NO_CLASS`, of any shape, int64.
        target: The same for the other map.
        num_classes: K.

    Returns:
        Intersection and union, each (K,), int64, on the CPU.
    """

    def count(labels: Tensor) -> Tensor:
        return torch.bincount(labels.flatten() - NO_CLASS, minlength=num_classes - NO_CLASS)[1:]

    intersect = count(torch.where(pred == target, pred, NO_CLASS))
    return intersect.cpu(), (count(pred) + count(target) - intersect).cpu()


def class_iou(intersect: Tensor, union: Tensor) -> Tensor:
    """IoU of every class as a fraction, float64; NaN where the union is empty."""
    return intersect.double() / union  # 0 / 0 is NaN


def mean_iou(intersect: Tensor, union: Tensor) -> float:
    """Mean IoU over the classes that occur, as a fraction; NaN over no class."""
    return class_iou(intersect, union).nanmean().item()


def accuracy(intersect: Tensor, union: Tensor) -> float:
    """Share of the pixels with the same label, where every pixel has one of the classes in both
    maps: each pixel is counted twice in intersection and union together. NaN over no pixel."""
    return (2 * intersect.sum().double() / (intersect.sum() + union.sum())).item()


def prediction_stability(clean: Tensor, perturbed: Tensor, num_classes: int,
                         mask: Optional[Tensor] = None) -> Stability:
    """Compare the prediction on a picture with that on the same picture, disturbed.

    No ground truth takes part: a model that is wrong in the same way both times is stable. Over a
    data set, stack the pictures, or add up what :func:`intersect_and_union` returns for each.

    Args:
        clean: Predicted labels 0 .. K-1 of any shape, integer.
        perturbed: Labels of the same shape.
        num_classes: K.
        mask: Pixels to count, bool, of the same shape; None: all.

    Raises:
        ValueError: The shapes differ, or a label is outside 0 .. K-1.
    """
    clean, perturbed = as_labels('clean', clean), as_labels('perturbed', perturbed)
    for name, other in (('perturbed', perturbed), ('mask', mask)):
        if other is not None and other.shape != clean.shape:
            raise ValueError(f'the clean prediction has shape {tuple(clean.shape)}, {name} has '
                             f'{tuple(other.shape)}')
    check_labels('clean', clean, num_classes)
    check_labels('perturbed', perturbed, num_classes)
    if mask is not None:
        clean, perturbed = (torch.where(mask, labels, NO_CLASS) for labels in (clean, perturbed))
    counts = intersect_and_union(clean, perturbed, num_classes)
    return Stability(accuracy(*counts), mean_iou(*counts))


def as_labels(name: str, labels: Union[Tensor, np.ndarray]) -> Tensor:
    """Labels as int64; a ValueError where they are no integers."""
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f'{name} must hold integer labels, got {labels.dtype}; of logits, take '
                         'argmax over the classes')
    return labels.long()


def check_labels(name: str, labels: Tensor, num_classes: int) -> None:
    """Refuse labels outside 0 .. K-1 with a ValueError."""
    if labels.numel() and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f'{name} holds labels {labels.min().item()} .. {labels.max().item()}, '
                         f'expected 0 .. {num_classes - 1}')
