"""Samples of any task of segmentation or detection as label maps, true and predicted."""
from collections.abc import Iterable
from typing import Optional

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData

#: Label of a pixel without one.
NONE = 255
#: Predicted instances below this score are not painted.
SCORE = 0.3
#: mmdet writes a pixel of its panoptic maps as label + INSTANCE_OFFSET * instance.
INSTANCE_OFFSET = 1000


def label_maps(sample: BaseDataElement, num_classes: int, truth_is_original: bool = True
               ) -> tuple[np.ndarray, np.ndarray]:
    """The true and the predicted class of each pixel.

    Semantic maps as they are, panoptic maps by the class of their segments. Instances are painted
    by their masks if both sides have some, or else by their boxes: those of a score above
    :data:`SCORE` with the best on top, and the true ones with the smallest on top.

    Args:
        sample: Of mmseg or mmdet, with ground truth and prediction.
        num_classes: Labels from here on are no class.
        truth_is_original: False: true instances have the size of the resized image.

    Returns:
        Two maps (H, W) of the original image's size, uint8; :data:`NONE` where there is no class.

    Raises:
        ValueError: The sample lacks one of them, or there are more classes than bytes.
    """
    if num_classes > NONE:
        raise ValueError(f'{num_classes} classes do not fit into a picture of bytes')
    truth, prediction = _plane(sample, 'gt_sem_seg'), _plane(sample, 'pred_sem_seg')
    if prediction is None:
        prediction = _plane(sample, 'pred_panoptic_seg')
        prediction = None if prediction is None else prediction % INSTANCE_OFFSET
    if prediction is None and 'pred_instances' in sample and 'gt_instances' in sample:
        found, known = sample.pred_instances.cpu(), sample.gt_instances.cpu()
        masks = 'masks' in found and 'masks' in known
        found = found[found.scores > SCORE]
        size = tuple(sample.ori_shape[:2])
        prediction = _painted(found, torch.argsort(found.scores).tolist(), size, masks)
        own_size = size if truth_is_original else tuple(sample.img_shape[:2])
        truth = _painted(known, _largest_first(known), own_size, masks)
    if truth is None or prediction is None:
        raise ValueError('only segmentation and detection with ground truth can be drawn; the '
                         f'samples of this config hold {sorted(sample.keys())}')
    truth = _resized(truth, prediction.shape)
    return tuple(np.where((labels >= 0) & (labels < num_classes), labels, NONE).astype(np.uint8)
                 for labels in (truth, prediction))


def _plane(sample: BaseDataElement, key: str) -> Optional[np.ndarray]:
    """The map (H, W) of mmseg's ``data`` or mmdet's ``sem_seg``; None: there is none."""
    if key not in sample:
        return None
    pixels = sample.get(key)
    data = pixels.data if 'data' in pixels else pixels.sem_seg
    return data.reshape(data.shape[-2:]).cpu().numpy().astype(np.int64)


def _painted(instances: InstanceData, order: Iterable[int], size: tuple[int, int],
             masks: bool) -> np.ndarray:
    """Classes of instances (H, W), later ones over earlier ones."""
    labels = np.full(size, NONE, dtype=np.int64)
    for index in order:
        label = int(instances.labels[index])
        if masks:
            labels[_mask(instances, index)] = label
        else:
            left, top, right, bottom = (max(0, round(float(value)))
                                        for value in _corners(instances)[index])
            labels[top:bottom, left:right] = label
    return labels


def _mask(instances: InstanceData, index: int) -> np.ndarray:
    """(H, W), bool."""
    masks = instances.masks
    if not isinstance(masks, torch.Tensor):  # mmdet's BitmapMasks or PolygonMasks
        masks = masks[[index]].to_ndarray()
        return masks[0].astype(bool)
    return masks[index].numpy().astype(bool)


def _corners(instances: InstanceData) -> torch.Tensor:
    boxes = instances.bboxes
    return getattr(boxes, 'tensor', boxes)  # mmdet's HorizontalBoxes


def _largest_first(instances: InstanceData) -> list[int]:
    corners = _corners(instances)
    areas = (corners[:, 2:] - corners[:, :2]).prod(dim=1)
    return torch.argsort(-areas, stable=True).tolist()


def _resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest labels, (H, W)."""
    rows, columns = (np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
                     for new, old in zip(size, labels.shape))
    return labels[rows[:, None], columns]
