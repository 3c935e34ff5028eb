"""Panoptic quality.

Papers: Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv:1801.00868, section 4; for the
boundary variant Cheng et al., "Boundary IoU", CVPR 2021, arXiv:2103.16562.
Code consulted: COCO's reference evaluation, cocodataset/panopticapi, ``evaluation.py``.
Deviations: a ground-truth map that holds an id without a segment raises (there: its pixels belong
to no segment and are not void either); several crowd segments of one category count together
(there: only the last one; COCO has one at most).

Letters: (H, W) image; G, P segments of ground truth and prediction, void included; C categories.
A category is its index 0 .. C-1. A segment is its id > 0 in a map; id 0 is void, pixels without a
label. A crowd segment is a region of many objects of one category that nobody separated.
"""
from collections.abc import Collection, Mapping
from typing import NamedTuple, Optional

import numpy as np
import torch

from .boundary import boundary_band

VOID = 0


class Quality(NamedTuple):
    """Means over categories, as fractions; NaN over no category."""
    pq: float  #: panoptic quality; per category the product of the next two
    sq: float  #: segmentation quality: mean IoU of matched segments
    rq: float  #: recognition quality: F1 score of the detection of segments
    n: int  #: number of categories that occur


def match_segments(pred_map: np.ndarray, pred_categories: Mapping[int, int], gt_map: np.ndarray,
                   gt_categories: Mapping[int, int], crowd_ids: Collection[int] = (), *,
                   num_categories: int, boundary_width: Optional[int] = None) -> np.ndarray:
    """Match the segments of one image and count, per category.

    A predicted and a true segment of the same category match where their IoU is over 0.5, which at
    most one partner can reach. Void pixels of the ground truth are no part of the union. Crowd
    segments neither match nor count as missed. An unmatched prediction with more than half of its
    pixels in void or in a crowd of its category is no false positive.

    For boundary PQ the IoU is the smaller one of that of the segments and that of their boundary
    bands. Void is outside every segment, so its outline is a contour; its pixels leave the union of
    the bands, too.

    Args:
        pred_map: Predicted segment ids, (H, W), integer.
        pred_categories: Category of every id in ``pred_map`` other than void.
        gt_map: True segment ids, (H, W), integer.
        gt_categories: Category of every true segment; one without pixels counts as missed.
        crowd_ids: Those ids of ``gt_categories`` that are crowds.
        num_categories: C.
        boundary_width: Width of the bands in pixels, for boundary PQ; None: PQ.

    Returns:
        Array (C, 4), float64: sum of the IoU of matched pairs, their number (true positives), false
        positives, false negatives. Images add up by adding their arrays.

    Raises:
        ValueError: the maps differ in shape or are not integer (H, W); a map holds an id without a
            category; an id is not positive; a category is outside 0 .. C-1; a predicted segment has
            no pixel; a crowd id is no true segment.
    """
    if pred_map.shape != gt_map.shape or gt_map.ndim != 2:
        raise ValueError('maps must share one shape (H, W), got prediction '
                         f'{pred_map.shape} and ground truth {gt_map.shape}')
    pred_ids, pred_category = _table('prediction', pred_map, pred_categories, num_categories)
    gt_ids, gt_category = _table('ground truth', gt_map, gt_categories, num_categories)
    unknown = set(crowd_ids) - set(gt_categories)
    if unknown:
        raise ValueError(f'crowd ids {sorted(unknown)} are not among the ground truth segments')

    overlap = _overlap(gt_map, gt_ids, pred_map, pred_ids)  # (G, P), pixels
    pred_area = overlap.sum(axis=0)  # (P,)
    if not pred_area[1:].all():
        raise ValueError('predicted segments that have no pixel in the map: '
                         f'{pred_ids[1:][pred_area[1:] == 0].tolist()}')
    void = overlap[0]  # (P,)
    iou = _iou(overlap, overlap, overlap)  # (G, P)
    if boundary_width is not None:
        iou = np.minimum(iou, _band_iou(gt_map, gt_ids, pred_map, pred_ids, boundary_width))
    same = gt_category[:, None] == pred_category  # (G, P)
    same[0] = False
    crowd = np.isin(gt_ids, list(crowd_ids))  # (G,)

    matched = same & ~crowd[:, None] & (iou > 0.5)  # (G, P)
    missed = ~matched.any(axis=1) & ~crowd  # (G,)
    excused = void + np.where(same & crowd[:, None], overlap, 0).sum(axis=0)  # (P,), pixels
    false = ~matched.any(axis=0) & (2 * excused <= pred_area)  # (P,)
    missed[0] = false[0] = False  # void is no segment

    true_category = gt_category[matched.nonzero()[0]]
    return np.stack([
        np.bincount(true_category, iou[matched], minlength=num_categories),
        np.bincount(true_category, minlength=num_categories),
        np.bincount(pred_category[false], minlength=num_categories),
        np.bincount(gt_category[missed], minlength=num_categories)], axis=1).astype(np.float64)


def class_quality(sums: np.ndarray) -> np.ndarray:
    """PQ, SQ and RQ of every category.

    Args:
        sums: What :func:`match_segments` returns, (C, 4), added over the images.

    Returns:
        Fractions of shape (C, 3). NaN where a category occurs in neither prediction nor ground
        truth; SQ is 0 where nothing matched.

    Raises:
        ValueError: ``sums`` is not of shape (C, 4).
    """
    if sums.ndim != 2 or sums.shape[1] != 4:
        raise ValueError(f'sums must have shape (C, 4), got {sums.shape}')
    iou, tp, fp, fn = sums.T
    size = tp + fp / 2 + fn / 2
    size = np.where(size > 0, size, np.nan)
    sq = np.where(np.isnan(size), np.nan, iou / np.maximum(tp, 1))
    return np.stack([iou / size, sq, tp / size], axis=1)


def mean_quality(sums: np.ndarray, select: Optional[np.ndarray] = None) -> Quality:
    """Mean quality over the categories that occur.

    Args:
        sums: What :func:`match_segments` returns, (C, 4), added over the images.
        select: Categories to take, (C,), bool, for example the things; None: all.

    Returns:
        The means and the number of categories in them.

    Raises:
        ValueError: ``sums`` is not of shape (C, 4).
    """
    quality = class_quality(sums)
    occurs = ~np.isnan(quality[:, 0])
    if select is not None:
        occurs &= select
    if not occurs.any():
        return Quality(np.nan, np.nan, np.nan, 0)
    return Quality(*quality[occurs].mean(axis=0).tolist(), int(occurs.sum()))


def _table(name: str, id_map: np.ndarray, categories: Mapping[int, int],
           num_categories: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids in rising order and their categories, both led by void, whose category is -1."""
    if not np.issubdtype(id_map.dtype, np.integer):
        raise ValueError(f'the {name} map must hold integers, got {id_map.dtype}')
    ids = sorted(categories)
    if ids and ids[0] <= VOID:
        raise ValueError(f'{name} segment ids must be positive ({VOID} is void), got {ids[0]}')
    for i in ids:
        if not 0 <= categories[i] < num_categories:
            raise ValueError(f'{name} segment {i} has category {categories[i]}, '
                             f'expected 0 .. {num_categories - 1}')
    unknown = np.setdiff1d(id_map, [VOID, *ids])
    if unknown.size:
        raise ValueError(f'the {name} map holds ids that no segment has: {unknown.tolist()}')
    return np.array([VOID, *ids]), np.array([-1, *(categories[i] for i in ids)])


def _overlap(gt_map: np.ndarray, gt_ids: np.ndarray, pred_map: np.ndarray,
             pred_ids: np.ndarray) -> np.ndarray:
    """Pixels that each true segment shares with each predicted one, (G, P)."""
    pair = np.searchsorted(gt_ids, gt_map) * len(pred_ids) + np.searchsorted(pred_ids, pred_map)
    count = np.bincount(pair.ravel(), minlength=len(gt_ids) * len(pred_ids))
    return count.reshape(len(gt_ids), len(pred_ids))


def _iou(both: np.ndarray, of_gt: np.ndarray, of_pred: np.ndarray) -> np.ndarray:
    """IoU of each true segment, or its band, and each predicted one, without void, (G, P).

    Args:
        both: Pixels in both bands that each pair shares, (G, P); so are the others.
        of_gt: Pixels in the true band.
        of_pred: Pixels in the predicted band.
    """
    union = of_gt.sum(axis=1, keepdims=True) + of_pred.sum(axis=0) - both - of_pred[0]
    return both / np.maximum(union, 1)


def _band_iou(gt_map: np.ndarray, gt_ids: np.ndarray, pred_map: np.ndarray, pred_ids: np.ndarray,
              width: int) -> np.ndarray:
    """IoU of the boundary bands of each true segment and each predicted one, (G, P)."""
    in_gt, in_pred = (boundary_band(torch.from_numpy(np.searchsorted(ids, id_map)), width).numpy()
                      for ids, id_map in ((gt_ids, gt_map), (pred_ids, pred_map)))
    return _iou(*(_overlap(gt_map[band], gt_ids, pred_map[band], pred_ids)
                  for band in (in_gt & in_pred, in_gt, in_pred)))
