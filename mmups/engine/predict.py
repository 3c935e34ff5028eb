"""Predictions of a checkpoint, scene by scene."""
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Callable, Optional

import numpy as np
import torch
from mmengine.dist import collect_results
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from mmups.evaluation import psnr, round_to_8_bit
from mmups.visualization.restoration import Restoration

from .label_maps import label_maps
from .robustness.data import truth_is_original

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


def predict_scenes(runner: Runner, count: int) -> tuple[Optional[list[Scene]], dict]:
    """Run the runner's checkpoint on the first images of its test set, whatever its task is.

    Args:
        runner: With ``load_from`` set.
        count: How many images, at most.

    Returns:
        RGB image (H, W, 3), truth and prediction of each, None as in
        :func:`predict_segmentations`; and what they are: ``kind``, a key of
        :data:`mmups.analysis.pixels.PIXELS`, and with labels ``classes`` and ``palette``.

    Raises:
        ValueError: As in :func:`predict_segmentations`.
    """
    kind = kind_of(runner)
    if kind == 'depth':
        return predict_depths(runner, count), dict(kind=kind)
    if kind == 'image':
        found = predict_restorations(runner, count)
        return found and [(one.degraded, one.truth, one.restored) for one in found], dict(kind=kind)
    scenes, meta = predict_segmentations(runner, count)
    return scenes, dict(kind=kind, classes=meta['classes'], palette=meta.get('palette'))


def kind_of(runner: Runner) -> str:
    """What the task of the runner's test set predicts, a key of
    :data:`mmups.analysis.pixels.PIXELS`."""
    dataset = runner.build_dataloader(runner.cfg.test_dataloader).dataset
    sample = dataset[0].get('data_samples')
    truth = () if sample is None else sample
    return 'depth' if 'gt_depth_map' in truth else 'image' if 'gt_img' in truth else 'labels'


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
        ValueError: The data set has no classes, or its samples no predicted or no true ones.
    """
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    if 'classes' not in loader.dataset.metainfo:
        raise ValueError(f'{type(loader.dataset).__name__} has no classes: only segmentation and '
                         'detection have label maps')
    return _first(runner, loader, count, _segmentations), loader.dataset.metainfo


def predict_depths(runner: Runner, count: int) -> Optional[list[Scene]]:
    """Likewise of a depth estimator of mmseg.

    Args:
        runner: Of its config, with ``load_from`` set.
        count: How many scenes, at most.

    Returns:
        RGB image (H, W, 3), true and predicted depth (H, W) of each scene, in the data set's unit.
    """
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    return _first(runner, loader, count, _depths)


def predict_restorations(runner: Runner, count: int) -> Optional[list[Restoration]]:
    """Likewise of an image restorer.

    Args:
        runner: Of its config, with ``load_from`` set.
        count: How many images, at most.

    Returns:
        What became of each, rounded to 8 bits.
    """
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    return _first(runner, loader, count, _restorations)


def depth_maps(sample: BaseDataElement) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted depth of a sample, (H, W) each."""
    maps = sample.gt_depth_map.data, sample.pred_depth_map.data
    return tuple(depth.reshape(depth.shape[-2:]).float().cpu().numpy() for depth in maps)


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
    classes = len(loader.dataset.metainfo['classes'])
    original = truth_is_original(loader.dataset)
    for sample in _samples(runner, loader):
        yield _image(sample), *label_maps(sample, classes, original)


def _depths(runner: Runner, loader: DataLoader) -> Iterator[Scene]:
    for sample in _samples(runner, loader):
        yield _image(sample), *depth_maps(sample)


def _samples(runner: Runner, loader: DataLoader) -> Iterator[BaseDataElement]:
    for batch in loader:
        yield from runner.model.test_step(batch)


def _image(sample: BaseDataElement) -> np.ndarray:
    import mmcv  # the hosts, whose samples these are, brought it
    return mmcv.imread(sample.img_path, channel_order='rgb')


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
