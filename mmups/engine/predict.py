"""Predictions of a checkpoint, scene by scene."""
from collections.abc import Iterator
from itertools import islice
from typing import Optional

import numpy as np
import torch
from mmengine.dist import collect_results
from mmengine.runner import Runner
from torch.utils.data import DataLoader

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


@torch.no_grad()
def predict_segmentations(runner: Runner, count: int) -> tuple[Optional[list[Scene]], dict]:
    """Run the runner's checkpoint on the first scenes of its test set.

    Args:
        runner: Of a semantic segmentation config with ``load_from`` set.
        count: How many scenes, at most.

    Returns:
        RGB image (H, W, 3), true labels (H, W) and predicted labels (H, W) of each scene, and
        the data set's ``metainfo`` (``classes``, ``palette``). Several processes share the work,
        and the first of them gets the scenes; the others get None.

    Raises:
        ValueError: The samples have no predicted or no true semantic map.
    """
    runner.load_or_resume()
    runner.model.eval()
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    count = min(count, len(loader.dataset))
    share = -(-count // runner.world_size)
    scenes = collect_results(list(islice(_scenes(runner, loader), share)), count)
    return scenes, loader.dataset.metainfo


def _scenes(runner: Runner, loader: DataLoader) -> Iterator[Scene]:
    import mmcv  # mmseg, whose samples these are, brought it
    for batch in loader:
        for sample in runner.model.test_step(batch):
            if 'pred_sem_seg' not in sample or 'gt_sem_seg' not in sample:
                raise ValueError('only semantic segmentation with ground truth can be drawn; '
                                 f'the samples of this config hold {sorted(sample.keys())}')
            yield (mmcv.imread(sample.img_path, channel_order='rgb'),
                   sample.gt_sem_seg.data[0].cpu().numpy(),
                   sample.pred_sem_seg.data[0].cpu().numpy())
