"""End-point error and 3-pixel error as a metric of mmengine."""
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from .disparity import disparity_errors
from .registry import METRICS


@METRICS.register_module()
class DisparityMetric(BaseMetric):
    """``EPE``, the mean of |prediction - truth| in pixels, and ``3px``, the share of pixels where
    it is above 3, in percent. Both are means over the pixels of the data set with a known
    disparity, occluded ones included; ``EPE_visible`` and ``3px_visible`` leave these out. NaN
    where there is no pixel.

    Arguments as of BaseMetric.
    """
    default_prefix = 'stereo'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the sums of every pair, (2, 3).

        Args:
            data_batch: Unused.
            data_samples: With ``prediction``, ``disparity``, ``valid`` and ``occluded``, (H, W).

        Raises:
            ValueError: The prediction has another size than the truth.
        """
        for sample in data_samples:
            prediction, truth, valid, occluded = (
                sample[key].cpu().numpy() for key in ('prediction', 'disparity', 'valid',
                                                      'occluded'))
            self.results.append(np.stack([disparity_errors(prediction, truth, where)
                                          for where in (valid, valid & ~occluded)]))

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = {}
        for name, (total, bad, count) in zip(('', '_visible'), sum(results, np.zeros((2, 3)))):
            metrics[f'EPE{name}'] = total / count if count else np.nan
            metrics[f'3px{name}'] = 100 * bad / count if count else np.nan
        return metrics
