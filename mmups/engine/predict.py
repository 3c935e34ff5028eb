"""Predictions of a checkpoint, scene by scene."""
from collections.abc import Iterator
from itertools import islice
from typing import Optional

import numpy as np
import torch
from mmengine.dist import collect_results
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from .label_maps import label_maps
from .robustness.data import truth_is_original

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


@torch.no_grad()
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
    runner.load_or_resume()
    runner.model.eval()
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    count = min(count, len(loader.dataset))
    share = -(-count // runner.world_size)
    scenes = collect_results(list(islice(_scenes(runner, loader), share)), count)
    return scenes, loader.dataset.metainfo


def _scenes(runner: Runner, loader: DataLoader) -> Iterator[Scene]:
    import mmcv  # the hosts, whose samples these are, brought it
    classes = len(loader.dataset.metainfo['classes'])
    original = truth_is_original(loader.dataset)
    for batch in loader:
        for sample in runner.model.test_step(batch):
            truth, prediction = label_maps(sample, classes, original)
            yield mmcv.imread(sample.img_path, channel_order='rgb'), truth, prediction
