"""Predictions of a checkpoint, scene by scene."""
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Optional

import numpy as np
import torch
from mmengine.dist import collect_results
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader

from .label_maps import label_maps
from .robustness.data import truth_is_original

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]
#: A sample's true and predicted map, (H, W) each.
MapsOf = Callable[[BaseDataElement], tuple[np.ndarray, np.ndarray]]


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
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    maps_of = partial(label_maps, num_classes=len(loader.dataset.metainfo['classes']),
                      truth_is_original=truth_is_original(loader.dataset))
    return _predict(runner, loader, count, maps_of), loader.dataset.metainfo


def predict_depths(runner: Runner, count: int) -> Optional[list[Scene]]:
    """Likewise of a depth estimator of mmseg.

    Args:
        runner: Of its config, with ``load_from`` set.
        count: How many scenes, at most.

    Returns:
        RGB image (H, W, 3), true and predicted depth (H, W) of each scene, in the data set's unit.
    """
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    return _predict(runner, loader, count, depth_maps)


def knows_depth(runner: Runner) -> bool:
    """Whether the samples of the runner's test set have a true depth map."""
    dataset = runner.build_dataloader(runner.cfg.test_dataloader).dataset
    return 'gt_depth_map' in (dataset[0].get('data_samples') or ())


def depth_maps(sample: BaseDataElement) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted depth of a sample, (H, W) each."""
    maps = sample.gt_depth_map.data, sample.pred_depth_map.data
    return tuple(depth.reshape(depth.shape[-2:]).float().cpu().numpy() for depth in maps)


@torch.no_grad()
def _predict(runner: Runner, loader: DataLoader, count: int, maps_of: MapsOf
             ) -> Optional[list[Scene]]:
    runner.load_or_resume()
    runner.model.eval()
    count = min(count, len(loader.dataset))
    share = -(-count // runner.world_size)
    return collect_results(list(islice(_scenes(runner, loader, maps_of), share)), count)


def _scenes(runner: Runner, loader: DataLoader, maps_of: MapsOf) -> Iterator[Scene]:
    import mmcv  # the hosts, whose samples these are, brought it
    for batch in loader:
        for sample in runner.model.test_step(batch):
            truth, prediction = maps_of(sample)
            yield mmcv.imread(sample.img_path, channel_order='rgb'), truth, prediction
