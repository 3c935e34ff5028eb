"""Panoptic quality as a metric of mmengine, without panopticapi."""
from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get, join_path, load
from mmengine.logging import MMLogger

from mmups.panoptic_png import ids_from_rgb
from mmups.registry import METRICS

from .boundary import band_width
from .panoptic_quality import VOID, class_quality, match_segments, mean_quality
from .table import format_table

#: mmdet writes a pixel of its panoptic maps as label + INSTANCE_OFFSET * instance
#: (``mmdet.evaluation.functional.INSTANCE_OFFSET``)
INSTANCE_OFFSET = 1000
KEYS = ('PQ', 'SQ', 'RQ')


@METRICS.register_module()
class PanopticMetric(BaseMetric):
    """PQ, SQ and RQ in percent, over all categories, things (``_th``) and stuff (``_st``).

    Takes the predictions of mmdet's panoptic models and returns the keys of mmdet's
    CocoPanopticMetric. That class needs panopticapi, which is not on PyPI, and passes every
    prediction through a PNG file; this one needs neither. A group of categories that does not
    occur is NaN.

    Labels follow the order of the categories in ``ann_file``, as in mmdet's CocoPanopticDataset.

    Args:
        ann_file: COCO panoptic json.
        seg_prefix: Folder of the PNG files that ``ann_file`` names.
        classwise: Whether the logged table has a row for every category.
        backend_args: Of mmengine's file backend, for ``ann_file`` and the PNG files.
        collect_device: As in BaseMetric.
        prefix: As in BaseMetric.
        collect_dir: As in BaseMetric.

    Raises:
        ValueError: in :meth:`process`, where ``ann_file`` lacks an image or a class of the data
            set, a sample has no prediction, a PNG cannot be decoded, or the segments of an image
            contradict its map.
    """
    default_prefix = 'coco_panoptic'

    def __init__(self, ann_file: str, seg_prefix: str, classwise: bool = False,
                 backend_args: Optional[dict] = None, collect_device: str = 'cpu',
                 prefix: Optional[str] = None, collect_dir: Optional[str] = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.ann_file = ann_file
        self.seg_prefix = seg_prefix
        self.classwise = classwise
        self.backend_args = backend_args
        content = load(ann_file, file_format='json', backend_args=backend_args)
        self.categories = content['categories']
        self.annotations = {ann['image_id']: ann for ann in content['annotations']}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Match every sample with its annotation; keeps one (C, 4) array of sums for each.

        Args:
            data_batch: Unused.
            data_samples: With ``img_id`` and ``pred_panoptic_seg.sem_seg`` of shape (1, H, W).
        """
        for sample in data_samples:
            img_id = sample['img_id']
            if img_id not in self.annotations:
                raise ValueError(f'{self.ann_file} has no annotation for image {img_id!r}')
            try:
                self.results.append(self._match(*self._prediction(sample),
                                                *self._truth(self.annotations[img_id])))
            except ValueError as error:
                raise ValueError(f'image {img_id!r}: {error}') from error

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add the images up, log the table, and return nine numbers in percent."""
        if len(results) < len(self.annotations):
            MMLogger.get_current_instance().warning(
                f'panoptic quality over {len(results)} of {len(self.annotations)} images in '
                f'{self.ann_file}')
        return self._quality('Panoptic quality', results)

    def _match(self, *segments, **kwargs) -> np.ndarray:
        """What is kept of an image, given the maps and the segments of :func:`match_segments`."""
        return match_segments(*segments, num_categories=len(self.categories), **kwargs)

    def _quality(self, title: str, results: list[np.ndarray]) -> dict[str, float]:
        """Means in percent over arrays (C, 4); logs their table."""
        sums = sum(results, np.zeros((len(self.categories), 4)))
        things = np.array([bool(category['isthing']) for category in self.categories])
        metrics, rows = {}, []
        for name, suffix, select in (('All', '', None), ('Things', '_th', things),
                                     ('Stuff', '_st', ~things)):
            quality = mean_quality(sums, select)
            percent = [100 * value for value in quality[:3]]
            metrics.update({key + suffix: value for key, value in zip(KEYS, percent)})
            rows.append((f'{name} ({quality.n})', percent))
        if self.classwise:
            names = (category['name'] for category in self.categories)
            rows.extend(zip(names, (100 * class_quality(sums)).tolist()))
        MMLogger.get_current_instance().info(
            f'{title} (number of categories)\n{format_table(KEYS, rows)}')
        return metrics

    def _prediction(self, sample: dict) -> tuple[np.ndarray, dict[int, int]]:
        """Predicted ids (H, W), void where the model says nothing, and their categories."""
        if sample.get('pred_panoptic_seg') is None:
            raise ValueError(f'the sample has no pred_panoptic_seg; its keys are {sorted(sample)}')
        prediction = sample['pred_panoptic_seg']
        classes = self.dataset_meta['classes']
        names = [category['name'] for category in self.categories]
        if missing := set(classes) - set(names):
            raise ValueError(f'{self.ann_file} has no category for the classes {sorted(missing)}')
        indices = [i for i, name in enumerate(names) if name in classes]  # label -> category
        void = {len(classes), prediction.get('ignore_index', len(classes))}

        codes = prediction['sem_seg'].cpu().numpy()[0].astype(np.int64)  # (H, W)
        categories = {}
        for code in np.unique(codes).tolist():
            label = code % INSTANCE_OFFSET
            if label in void:
                continue
            if label > len(classes):
                raise ValueError(f'predicted label {label}, expected 0 .. {len(classes) - 1}, or '
                                 f'{sorted(void)} for void')
            categories[code + 1] = indices[label]  # 0 is a label there and void here
        return np.where(np.isin(codes % INSTANCE_OFFSET, list(void)), VOID, codes + 1), categories

    def _truth(self, annotation: dict) -> tuple[np.ndarray, dict[int, int], list[int]]:
        """True ids (H, W), their categories, and those of them that are crowds."""
        indices = {category['id']: i for i, category in enumerate(self.categories)}
        segments = annotation['segments_info']
        unknown = {segment['category_id'] for segment in segments} - set(indices)
        if unknown:
            raise ValueError(f'{self.ann_file} has no category with id {sorted(unknown)}')
        return (self._read_ids(annotation['file_name']),
                {segment['id']: indices[segment['category_id']] for segment in segments},
                [segment['id'] for segment in segments if segment.get('iscrowd')])

    def _read_ids(self, file_name: str) -> np.ndarray:
        """True segment ids (H, W)."""
        path = join_path(self.seg_prefix, file_name, backend_args=self.backend_args)
        content = np.frombuffer(get(path, backend_args=self.backend_args), np.uint8)
        bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        if bgr is None:
            raise ValueError(f'{path} is not an image')
        return ids_from_rgb(bgr[..., ::-1])


@METRICS.register_module()
class BoundaryPanopticMetric(PanopticMetric):
    """The numbers of PanopticMetric, and the same nine of boundary PQ, ``boundary_PQ`` and so on.

    Args:
        ratio: Width of the boundary bands as a share of the image's diagonal.
        width: Width of the bands in pixels, in place of ``ratio``.
        kwargs: As in PanopticMetric.

    Raises:
        ValueError: As in PanopticMetric; ``ratio`` or ``width`` is no such value.
    """

    def __init__(self, *args, ratio: float = 0.02, width: Optional[int] = None, **kwargs):
        super().__init__(*args, **kwargs)
        band_width(1, 1, ratio, width)  # raises
        self.ratio = ratio
        self.width = width

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add the images up, log two tables, and return eighteen numbers in percent."""
        metrics = super().compute_metrics([plain for plain, _ in results])
        boundary = self._quality('Boundary panoptic quality', [boundary for _, boundary in results])
        return {**metrics, **{f'boundary_{key}': value for key, value in boundary.items()}}

    def _match(self, pred_map: np.ndarray, *segments) -> np.ndarray:
        """The arrays of PQ and of boundary PQ, (2, C, 4)."""
        width = band_width(*pred_map.shape, self.ratio, self.width)
        return np.stack([super(BoundaryPanopticMetric, self)._match(pred_map, *segments, **kwargs)
                         for kwargs in ({}, dict(boundary_width=width))])
