"""Predictions of a checkpoint, scene by scene."""
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Callable, Optional

import numpy as np
import torch
from mmengine.dist import collect_results
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmups.evaluation import psnr, round_to_8_bit
from mmups.models.restoration import ImageRestorer
from mmups.visualization.restoration import Restoration

from .label_maps import label_maps
from .robustness.data import truth_is_original

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


def predict_segmentations(runner: Runner, count: int) -> tuple[Optional[list[Scene]], dict]:
    """Run the runner's checkpoint on the first scenes of its test set.

    Args:
        runner: Of a config of segmentation or detection with ``load_from`` set.
        count: How many scenes, at most.

    Returns:
        RGB image (H, W, 3), true labels (H, W) and predicted labels (H, W) of each scene, as of
        :func:`mmups.engine.label_maps.label_maps`, and the data set's ``metainfo`` (``classes``,
        ``palette``). Several processes share the work, and the first of them gets the scenes; the
        others get None.

    Raises:
        ValueError: The samples have no predicted or no true classes.
    """
    if restores(runner):
        raise ValueError('only segmentation and detection have label maps, restored images have '
                         'none')
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    return _first(runner, loader, count, _segmentations), loader.dataset.metainfo


def restores(runner: Runner) -> bool:
    """Whether the runner's model restores images."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return isinstance(model, ImageRestorer)


def predict_restorations(runner: Runner, count: int) -> Optional[list[Restoration]]:
    """Run the runner's checkpoint on the first images of its test set.

    Args:
        runner: Of a config of an :class:`ImageRestorer` with ``load_from`` set.
        count: How many images, at most.

    Returns:
        What became of each, rounded to 8 bits. Several processes share the work, and the first of
        them gets the images; the others get None.
    """
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    return _first(runner, loader, count, _restorations)


@torch.no_grad()
def _first(runner: Runner, loader: DataLoader, count: int,
           scenes_of: Callable[[Runner, DataLoader], Iterable[Any]]) -> Optional[list[Any]]:
    """The first scenes of a data set, from all processes."""
    runner.load_or_resume()
    runner.model.eval()
    count = min(count, len(loader.dataset))
    share = -(-count // runner.world_size)
    return collect_results(list(islice(scenes_of(runner, loader), share)), count)


def _segmentations(runner: Runner, loader: DataLoader) -> Iterator[Scene]:
    import mmcv  # the hosts, whose samples these are, brought it
    classes = len(loader.dataset.metainfo['classes'])
    original = truth_is_original(loader.dataset)
    for batch in loader:
        for sample in runner.model.test_step(batch):
            truth, prediction = label_maps(sample, classes, original)
            yield mmcv.imread(sample.img_path, channel_order='rgb'), truth, prediction


def _restorations(runner: Runner, loader: DataLoader) -> Iterator[Restoration]:
    for batch in loader:
        for image, sample in zip(batch['inputs'], runner.model.test_step(batch)):
            images = [round_to_8_bit(part) for part in (
                image.cpu() / 255, sample.gt_img.cpu() / 255, sample.pred_img.cpu())]
            degraded, truth, restored = images
            yield Restoration(*map(_picture, images), (psnr(degraded, truth).item(),
                                                       psnr(restored, truth).item()))


def _picture(image: Tensor) -> np.ndarray:
    """(3, H, W) of [0, 1] to (H, W, 3) uint8."""
    return (image * 255).round().byte().permute(1, 2, 0).numpy()
