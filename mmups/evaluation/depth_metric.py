"""Errors of depth estimation as a metric of mmengine, in place of mmseg's DepthMetric."""
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from mmups.registry import METRICS

from .depth import ERRORS, depth_errors, valid_depth
from .table import format_table


@METRICS.register_module()
class DepthMetric(BaseMetric):
    """a1, a2, a3, abs_rel, sq_rel, rmse, rmse_log, log10 and silog of depth maps in metres.

    :func:`mmups.evaluation.depth_errors` has their definitions and units. Each is computed per
    image over the pixels whose true depth is known, and averaged over images. An image without
    such a pixel is left out, and how many there were is logged; if all were, the numbers are NaN.

    Args:
        min_depth: True depths count above it; smaller predictions are taken for it, as in the
            toolbox. In metres.
        max_depth: Likewise below it, and for larger predictions.
        crop: Top, bottom, left and right of what counts in each image, in pixels, such as
            :data:`mmups.evaluation.EIGEN_CROP` for NYU; None: all of it.
        collect_device: As in BaseMetric.
        prefix: As in BaseMetric.
        collect_dir: As in BaseMetric.

    Raises:
        ValueError: The limits are no range of positive numbers; in :meth:`process`, a sample has
            no prediction or no ground truth, they differ in size, the crop is not inside, or a
            prediction that counts is NaN.
    """

    def __init__(self, min_depth: float = 1e-3, max_depth: float = 10.,
                 crop: Optional[Sequence[int]] = None, collect_device: str = 'cpu',
                 prefix: Optional[str] = None, collect_dir: Optional[str] = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not 0 < min_depth < max_depth:
            raise ValueError('depths are evaluated between two limits, 0 < min_depth < max_depth; '
                             f'got min_depth={min_depth}, max_depth={max_depth}')
        self.min_depth, self.max_depth, self.crop = min_depth, max_depth, crop

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the errors of every sample, (9, ); NaN where no true depth is known.

        Args:
            data_batch: Unused.
            data_samples: With ``pred_depth_map.data`` and ``gt_depth_map.data``, (1, H, W) each.
        """
        for sample in data_samples:
            try:
                prediction, truth = _plane(sample, 'pred_depth_map'), _plane(sample, 'gt_depth_map')
                if prediction.shape != truth.shape:
                    raise ValueError(f'the prediction is of {tuple(prediction.shape)} pixels, the '
                                     f'ground truth of {tuple(truth.shape)}')
                valid = valid_depth(truth, self.min_depth, self.max_depth, self.crop)
                found = prediction[valid].clamp(self.min_depth, self.max_depth)
                self.results.append(depth_errors(found, truth[valid]))
            except ValueError as error:
                raise ValueError(f'image {sample.get("img_path")!r}: {error}') from error

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images, log the table, and return nine numbers."""
        errors = torch.stack(results)
        known = errors[~errors.isnan().any(1)]
        logger = MMLogger.get_current_instance()
        if left_out := len(errors) - len(known):
            logger.warning(f'{left_out} of {len(errors)} images are left out of the depth metrics: '
                           f'none of their true depths is between {self.min_depth:g} and '
                           f'{self.max_depth:g} m')
        metrics = dict(zip(ERRORS, known.mean(0).tolist()))
        logger.info(f'Depth, mean over {len(known)} images (rmse and sq_rel in metres)\n'
                    + format_table(ERRORS, [('', list(metrics.values()))], digits=4))
        return metrics


def _plane(sample: dict, key: str) -> Tensor:
    """The depths (H, W) of mmengine's PixelData (1, H, W), on the CPU."""
    if sample.get(key) is None:
        raise ValueError(f'the sample has no {key}; LoadDepthAnnotation in the pipeline brings the '
                         f'ground truth, a depth estimator the prediction; its keys are '
                         f'{sorted(sample)}')
    data = sample[key]['data']
    return data.reshape(data.shape[-2:]).cpu()
