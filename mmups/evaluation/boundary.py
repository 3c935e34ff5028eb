"""Boundary IoU, and the error at the edges of objects beside that inside them.

Paper: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
2021, arXiv:2103.16562, section 4. The authors' code, bowenc0221/boundary-iou-api, was known by
descriptions of its band and was not read.
Deviations: paper and code know instances and panoptic segments only. For semantic maps the bands'
intersections and unions of a class are added over the data set, as in mmseg's IoUMetric, and what
happens at pixels without a label is an argument. The authors of FADE, SAPA and DySample, who report
a bIoU, have not published how they computed it: their numbers and these need not be comparable.

Every band here comes from :func:`boundary_band`.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .overlap import NO_CLASS, as_labels, check_labels, intersect_and_union

IGNORED = ('fill', 'background')


def band_width(height: int, width: int, ratio: float = 0.02, pixels: Optional[int] = None) -> int:
    """Width of the band of an image, in pixels, at least 1.

    Args:
        height: Of the image.
        width: Of the image.
        ratio: Share of the image's diagonal. The paper takes 0.02 for COCO and LVIS, 0.005 for
            Cityscapes.
        pixels: The width itself, in place of a ratio.

    Raises:
        ValueError: ``ratio`` is outside 0 .. 1, or ``pixels`` is no integer >= 1.
    """
    if pixels is not None:
        if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 1:
            raise ValueError(f'the width of the band must be an integer >= 1, got {pixels!r}; for '
                             'a share of the diagonal there is ratio')
        return pixels
    if not 0 < ratio <= 1:
        raise ValueError(f'ratio must be a share of the diagonal, over 0 and at most 1, got '
                         f'{ratio!r}; for pixels there is width')
    return max(1, round(ratio * (height**2 + width**2)**0.5))


def boundary_band(labels: Tensor, width: int, frame: bool = True,
                  skip: Optional[Tensor] = None) -> Tensor:
    """Pixels within ``width`` of a pixel that has another label, in every direction.

    Of the pixels of one label, these are the ones that ``width`` erosions by a 3 x 3 square take
    away: in the square of side 2 ``width`` + 1 around any other pixel the smallest label is the
    largest. So one pass gives the inner bands of all labels.

    Args:
        labels: (..., H, W), integers of less than 24 bits, or bool.
        width: In pixels.
        frame: Whether what lies outside the image counts as another label.
        skip: Pixels that have no label, bool, of the same shape: they are in no band and make none.

    Returns:
        The band, bool, of the shape of ``labels``.
    """
    ends = torch.stack([labels.float(), -labels.float()])  # their maxima: largest, - smallest label
    if skip is not None:
        ends.masked_fill_(skip, float('-inf'))
    largest, smallest = _window_max(ends, width, outside=float('inf' if frame else '-inf'))
    band = largest != -smallest
    return band if skip is None else band & ~skip


def boundary_intersect_and_union(pred: Tensor, target: Tensor, num_classes: int,
                                 ratio: float = 0.02, ignore_index: int = 255, *,
                                 width: Optional[int] = None,
                                 ignored: str = 'fill') -> tuple[Tensor, Tensor]:
    """Intersection and union of the boundary bands of every class.

    The band of a class are its pixels within ``width`` of its contour; the frame of the image is
    part of the contour.

    Args:
        pred: Predicted labels 0 .. K-1, (H, W) or (N, H, W), integer, tensor or NumPy array.
        target: True labels, or ``ignore_index``, of the same shape.
        num_classes: K.
        ratio: Width of the band as a share of the image's diagonal, as in :func:`band_width`.
        ignore_index: Label of pixels that count nowhere.
        width: Width of the band in pixels, in place of ``ratio``.
        ignored: What ignored pixels are while the bands of ``target`` are drawn. ``'fill'``: what
            the prediction says, so that their outline is no contour. ``'background'``: of no class,
            so that it is one. They are in neither count either way.

    Returns:
        Intersection and union in pixels, each (K,), int64, on the CPU. Images add up.

    Raises:
        ValueError: The shapes differ or are of no image, a label is out of range, or ``ratio``,
            ``width`` or ``ignored`` is no such value.
    """
    check_ignored(ignored)
    pred, target, known = _maps(pred, target, num_classes, ignore_index)
    pixels = band_width(*pred.shape[-2:], ratio, width)
    drawn = torch.where(known, target, pred if ignored == 'fill' else NO_CLASS)
    bands = (torch.where(known & boundary_band(labels, pixels), labels, NO_CLASS)
             for labels in (pred, drawn))
    return intersect_and_union(*bands, num_classes)


def split_intersect_and_union(pred: Tensor, target: Tensor, num_classes: int, ratio: float = 0.02,
                              ignore_index: int = 255, *, width: Optional[int] = None) -> Tensor:
    """Intersection and union of every class at the edges of the ground truth, and inside.

    A pixel is at an edge where one of another class is within ``width`` of it in the ground truth.
    The frame of the image and ignored pixels make no edge, and the prediction has no say: the
    pixels are the same ones for every model.

    Args:
        pred: As in :func:`boundary_intersect_and_union`, as are all others.
        target: True labels.
        num_classes: K.
        ratio: Width of the band as a share of the diagonal.
        ignore_index: Label of pixels that count nowhere.
        width: Width of the band in pixels, in place of ``ratio``.

    Returns:
        int64 of shape (2, 2, K): at the edges and inside; intersection and union.

    Raises:
        ValueError: As in :func:`boundary_intersect_and_union`.
    """
    pred, target, known = _maps(pred, target, num_classes, ignore_index)
    pixels = band_width(*pred.shape[-2:], ratio, width)
    edge = boundary_band(target, pixels, frame=False, skip=~known)
    return torch.stack([
        torch.stack(intersect_and_union(
            *(torch.where(part, labels, NO_CLASS) for labels in (pred, target)), num_classes))
        for part in (edge, known & ~edge)])


def check_ignored(ignored: str) -> None:
    """Refuse an unknown treatment of ignored pixels with a ValueError."""
    if ignored not in IGNORED:
        raise ValueError(f'ignored must be one of {IGNORED}, got {ignored!r}')


def _window_max(values: Tensor, width: int, outside: float) -> Tensor:
    """Maximum over the square of side 2 ``width`` + 1 around every pixel, with ``outside`` around
    the image: a maximum over runs of 1, 2, 4, ... pixels, first along rows, then along columns."""
    width = min(width, max(values.shape[-2:]))  # a wider square sees nothing more
    side = 2 * width + 1
    values = F.pad(values, (width, ) * 4, value=outside)
    for dim in (-1, -2):
        run = 1
        while run < side:
            step = min(run, side - run)
            size = values.shape[dim] - step
            values = torch.maximum(values.narrow(dim, 0, size), values.narrow(dim, step, size))
            run += step
    return values


def _maps(pred: Tensor, target: Tensor, num_classes: int,
          ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Checked labels, int64 on the prediction's device, and which pixels have a true one."""
    pred = as_labels('the prediction', pred)
    target = as_labels('the ground truth', target).to(pred.device)
    if pred.shape != target.shape or pred.dim() not in (2, 3):
        raise ValueError(f'prediction and ground truth must share one shape (H, W) or (N, H, W), '
                         f'got {tuple(pred.shape)} and {tuple(target.shape)}')
    known = target != ignore_index
    check_labels('the prediction', pred, num_classes)
    check_labels('the ground truth', target.masked_fill(~known, 0), num_classes)
    return pred, target, known
