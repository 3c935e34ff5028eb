"""PSNR and SSIM as metrics of mmengine."""
from collections.abc import Callable, Sequence
from typing import ClassVar, Optional

from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmups.registry import METRICS

from .image_quality import psnr, round_to_8_bit, ssim


class _MeanOverImages(BaseMetric):
    """The mean over the images of a data set of what ``measure`` says of each.

    Samples have ``pred_img``, (3, H, W) float of [0, 1], and ``gt_img``, (3, H, W) uint8.

    Args:
        rounded: Whether predictions are rounded to 8 bits, as they are where they are kept as
            images, before they are compared; published tables mostly are of such.
        collect_device: As in BaseMetric.
        prefix: As in BaseMetric.
        collect_dir: As in BaseMetric.

    Raises:
        ValueError: In :meth:`process`, a sample has no prediction or no truth, or they do not fit
            together.
    """
    measure: ClassVar[Callable[[Tensor, Tensor], Tensor]]

    def __init__(self, rounded: bool = True, collect_device: str = 'cpu',
                 prefix: Optional[str] = None, collect_dir: Optional[str] = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.rounded = rounded

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep one number of every sample.

        Args:
            data_batch: Unused.
            data_samples: With ``pred_img`` and ``gt_img``.
        """
        for sample in data_samples:
            try:
                prediction, truth = (_image_of(sample, key) for key in ('pred_img', 'gt_img'))
                prediction = round_to_8_bit(prediction) if self.rounded else prediction
                value = self.measure(prediction, truth.to(prediction.device).double() / 255)
            except ValueError as error:
                raise ValueError(f'image {sample.get("img_path")!r}: {error}') from error
            self.results.append(value.item())

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The mean, under the name of the metric."""
        return {type(self).__name__: sum(results) / len(results)}


def _image_of(sample: dict, key: str) -> Tensor:
    if sample.get(key) is None:
        raise ValueError(f'the sample has no {key}; its keys are {sorted(sample)}')
    return sample[key]


@METRICS.register_module()
class PSNR(_MeanOverImages):
    """Peak signal-to-noise ratio in dB over all colours: ``PSNR``.

    Samples, arguments and errors are those of :class:`_MeanOverImages`.
    """
    measure = staticmethod(psnr)


@METRICS.register_module()
class SSIM(_MeanOverImages):
    """Structural similarity, the mean over the colours: ``SSIM``.

    Samples, arguments and errors are those of :class:`_MeanOverImages`.
    """
    measure = staticmethod(ssim)
