"""Boundary IoU of semantic segmentation as a metric of mmengine, beside mmseg's IoUMetric."""
from collections.abc import Sequence
from io import BytesIO
from typing import Optional

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get
from mmengine.logging import MMLogger
from PIL import Image
from torch import Tensor

from mmups.registry import METRICS

from .boundary import (
    band_width,
    boundary_intersect_and_union,
    check_ignored,
    split_intersect_and_union,
)
from .overlap import accuracy, class_iou, mean_iou
from .table import format_table

#: Parts of a result: the bands of both maps, the edges of the ground truth, what is inside them.
BANDS, EDGES, INSIDE = range(3)


@METRICS.register_module()
class BoundaryIoUMetric(BaseMetric):
    """Boundary IoU, and the error at edges and inside, in percent.

    ``mBIoU`` is the mean over the classes of the IoU of their boundary bands. ``aAcc_boundary`` and
    ``mIoU_boundary`` are the accuracy and the mean IoU of pixels at an edge of the ground truth,
    ``aAcc_interior`` and ``mIoU_interior`` those of all others. All are taken over the data set, as
    in mmseg's IoUMetric. A class that does not occur is NaN in the logged table and left out of the
    means. :mod:`mmups.evaluation.boundary` has the definitions and their source.

    The ground truth of a sample is its ``gt_sem_seg``, or else the file ``seg_map_path``.

    Args:
        ratio: Width of the band as a share of the image's diagonal.
        width: Width of the band in pixels, in place of ``ratio``.
        ignored: What ignored pixels are while the bands of the ground truth are drawn: ``'fill'``
            or ``'background'``, as in :func:`boundary_intersect_and_union`.
        ignore_index: Label of pixels that count nowhere.
        classwise: Whether the numbers of every class are returned, too: ``IoU.CLASS`` and
            ``BIoU.CLASS``, NaN where the class does not occur.
        backend_args: Of mmengine's file backend, where the ground truth is read.
        collect_device: As in BaseMetric.
        prefix: As in BaseMetric.
        collect_dir: As in BaseMetric.

    Raises:
        ValueError: ``ratio``, ``width`` or ``ignored`` is no such value; in :meth:`process`, a
            sample has no prediction or no ground truth, or they do not fit together.
    """

    def __init__(self, ratio: float = 0.02, width: Optional[int] = None, ignored: str = 'fill',
                 ignore_index: int = 255, classwise: bool = False,
                 backend_args: Optional[dict] = None, collect_device: str = 'cpu',
                 prefix: Optional[str] = None, collect_dir: Optional[str] = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        check_ignored(ignored)
        band_width(1, 1, ratio, width)  # raises
        self.ratio = ratio
        self.width = width
        self.ignored = ignored
        self.ignore_index = ignore_index
        self.classwise = classwise
        self.backend_args = backend_args

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the counts of every sample, (3, 2, K): for each part intersection and union.

        Args:
            data_batch: Unused.
            data_samples: With ``pred_sem_seg.data`` and ``gt_sem_seg.data`` of shape (1, H, W).
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            try:
                maps = self._prediction(sample), self._truth(sample)
                common = dict(num_classes=num_classes, ratio=self.ratio, width=self.width,
                              ignore_index=self.ignore_index)
                bands = boundary_intersect_and_union(*maps, ignored=self.ignored, **common)
                split = split_intersect_and_union(*maps, **common)
            except ValueError as error:
                raise ValueError(f'image {sample.get("img_path")!r}: {error}') from error
            self.results.append(torch.cat([torch.stack(bands)[None], split]))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add the images up, log the table, and return five numbers in percent, and two of each
        class where they are asked for."""
        classes = self.dataset_meta['classes']
        total = sum(results, torch.zeros(3, 2, len(classes), dtype=torch.int64))
        metrics = dict(
            mBIoU=mean_iou(*total[BANDS]),
            aAcc_boundary=accuracy(*total[EDGES]), aAcc_interior=accuracy(*total[INSIDE]),
            mIoU_boundary=mean_iou(*total[EDGES]), mIoU_interior=mean_iou(*total[INSIDE]))
        if self.classwise:
            whole = total[EDGES] + total[INSIDE]  # every pixel is in one of the two
            for kind, part in (('IoU', whole), ('BIoU', total[BANDS])):
                metrics.update({f'{kind}.{name}': value for name, value in
                                zip(classes, class_iou(*part).tolist())})
        band = (f'{self.width} pixels' if self.width is not None else
                f'{100 * self.ratio:g} % of the diagonal')
        table = torch.stack([100 * class_iou(*part) for part in total], dim=1)  # (K, 3)
        MMLogger.get_current_instance().info(
            f'Boundary IoU, and IoU at the edges and inside (band of {band})\n'
            + format_table(('BIoU', 'boundary', 'interior'), zip(classes, table.tolist())))
        return {name: 100 * value for name, value in metrics.items()}

    @staticmethod
    def _prediction(sample: dict) -> Tensor:
        """Predicted labels (H, W)."""
        if sample.get('pred_sem_seg') is None:
            raise ValueError(f'the sample has no pred_sem_seg; its keys are {sorted(sample)}')
        return _plane(sample['pred_sem_seg'])

    def _truth(self, sample: dict) -> Tensor:
        """True labels (H, W)."""
        if sample.get('gt_sem_seg') is not None:
            return _plane(sample['gt_sem_seg'])
        if sample.get('seg_map_path') is None:
            raise ValueError('the sample has no gt_sem_seg and no seg_map_path; LoadAnnotations in '
                             f'the pipeline brings the first; its keys are {sorted(sample)}')
        return self._read(sample['seg_map_path'], bool(sample.get('reduce_zero_label')))

    def _read(self, path: str, reduce_zero_label: bool) -> Tensor:
        """True labels (H, W), as mmseg's LoadAnnotations reads them."""
        content = get(path, backend_args=self.backend_args)
        read = np.array(Image.open(BytesIO(content)), dtype=np.int64)
        if read.ndim != 2:
            raise ValueError(f'{path} is no map of labels: its pixels have {read.shape[-1]} values')
        if reduce_zero_label:
            read = np.where((read == 0) | (read == 255), 255, read - 1)
        labels = read.copy()
        for old, new in (self.dataset_meta.get('label_map') or {}).items():
            labels[read == old] = new
        return torch.from_numpy(labels)


def _plane(pixels: dict) -> Tensor:
    """The labels (H, W) of mmengine's PixelData (1, H, W)."""
    data = pixels['data']
    return data.reshape(data.shape[-2:])
