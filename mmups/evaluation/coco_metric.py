"""Boundary AP of instances, beside the metrics of mmdet's CocoMetric.

Paper: Cheng et al., "Boundary IoU", CVPR 2021, arXiv:2103.16562. A detection matches an object by
the smaller one of their mask IoU and their boundary IoU; the rest is COCO's evaluation.
Deviations: a crowd, many objects whose contours nobody drew, matches by its mask alone.
"""
from typing import Optional, Union

import numpy as np
from mmdet.evaluation import CocoMetric
from mmengine.logging import MMLogger
from pycocotools import mask as mask_utils
from pycocotools.cocoeval import COCOeval
from torch import from_numpy

from mmups.registry import METRICS

from .boundary import band_width, boundary_band

#: Name of a number -> its place in what COCOeval summarizes.
STATS = dict(mAP=0, mAP_50=1, mAP_75=2, mAP_s=3, mAP_m=4, mAP_l=5)


def mask_band(rle: dict, ratio: float = 0.02, width: Optional[int] = None) -> dict:
    """The boundary band of a mask.

    Args:
        rle: The mask, run-length encoded by pycocotools.
        ratio: Width of the band as a share of the image's diagonal.
        width: Width of the band in pixels, in place of ``ratio``.

    Returns:
        The band, encoded the same way.
    """
    mask = mask_utils.decode(rle)  # (H, W), uint8
    x, y, w, h = map(int, mask_utils.toBbox(rle))
    box = mask[y:y + h, x:x + w]  # beyond it there is background, or the frame: contour both
    box &= boundary_band(from_numpy(box), band_width(*mask.shape, ratio, width)).numpy()
    return mask_utils.encode(mask)


class BoundaryCOCOeval(COCOeval):
    """COCO's evaluation of masks, with the smaller one of mask IoU and boundary IoU.

    Args:
        args: As of COCOeval: ground truth and detections.
        ratio: As in :func:`mask_band`.
        width: As in :func:`mask_band`.
    """

    def __init__(self, *args, ratio: float = 0.02, width: Optional[int] = None):
        super().__init__(*args, iouType='segm')
        self.ratio = ratio
        self.width = width

    def computeIoU(self, imgId: int, catId: int) -> Union[np.ndarray, list]:
        """The smaller IoU of each detection, best first, and each object; [] without one."""
        ious = super().computeIoU(imgId, catId)
        if len(ious) == 0:
            return ious
        objects = self._gts[imgId, catId]
        detections = sorted(self._dts[imgId, catId], key=lambda detection: -detection['score'])
        bands = [[mask_band(each['segmentation'], self.ratio, self.width) for each in group]
                 for group in (detections[:self.params.maxDets[-1]], objects)]
        crowd = np.array([bool(each['iscrowd']) for each in objects])
        return np.where(crowd, ious,
                        np.minimum(ious, mask_utils.iou(*bands, [0] * len(objects))))


@METRICS.register_module()
class BoundaryCocoMetric(CocoMetric):
    """mmdet's CocoMetric, which knows ``'boundary'`` beside ``'bbox'`` and ``'segm'``.

    ``boundary_mAP`` and its like are boundary AP, as fractions, over the thresholds of CocoMetric.

    Args:
        metric: As in CocoMetric; ``'boundary'`` needs masks.
        ratio: Width of the boundary bands as a share of the image's diagonal.
        width: Width of the bands in pixels, in place of ``ratio``.
        kwargs: As in CocoMetric.

    Raises:
        ValueError: ``ratio`` or ``width`` is no such value, or the predictions have no masks.
    """

    def __init__(self, *args, metric: Union[str, list[str]] = 'bbox', ratio: float = 0.02,
                 width: Optional[int] = None, **kwargs):
        metrics = metric if isinstance(metric, list) else [metric]
        super().__init__(*args, metric=[name for name in metrics if name != 'boundary'], **kwargs)
        band_width(1, 1, ratio, width)  # raises
        self.boundary = 'boundary' in metrics
        self.ratio = ratio
        self.width = width

    def compute_metrics(self, results: list) -> dict[str, float]:
        """As CocoMetric, and boundary AP."""
        metrics = super().compute_metrics(results)
        if not self.boundary or self.format_only:
            return metrics
        logger = MMLogger.get_current_instance()
        logger.info('Evaluating boundary...')
        detections = [detection for _, result in results for detection in self._detections(result)]
        if not detections:
            logger.error('no masks are predicted in the whole data set: no boundary AP')
            return metrics
        evaluation = BoundaryCOCOeval(self._coco_api, self._coco_api.loadRes(detections),
                                      ratio=self.ratio, width=self.width)
        evaluation.params.catIds = self.cat_ids
        evaluation.params.imgIds = self.img_ids
        evaluation.params.maxDets = list(self.proposal_nums)
        evaluation.params.iouThrs = self.iou_thrs
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        for name in self.metric_items or STATS:
            if name in STATS:
                metrics[f'boundary_{name}'] = round(float(evaluation.stats[STATS[name]]), 3)
        return metrics

    def _detections(self, result: dict) -> list[dict]:
        """Masks of an image in COCO's form. Without boxes, from which COCO would take areas."""
        if 'masks' not in result:
            raise ValueError(f"metric='boundary' needs masks, and image {result['img_id']!r} has "
                             f'none; the prediction has {sorted(result)}')
        scores = result.get('mask_scores', result['scores'])
        return [dict(image_id=result['img_id'], category_id=self.cat_ids[label],
                     segmentation=mask, score=float(score))
                for label, mask, score in zip(result['labels'], result['masks'], scores)]
