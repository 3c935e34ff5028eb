"""Predictions of a checkpoint, scene by scene."""
import numpy as np
import torch
from mmengine.runner import Runner

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


@torch.no_grad()
def predict_segmentations(runner: Runner, count: int) -> tuple[list[Scene], dict]:
    """Run the runner's checkpoint on the first scenes of its test set.

    Args:
        runner: Of a semantic segmentation config with ``load_from`` set.
        count: How many scenes, at most.

    Returns:
        RGB image (H, W, 3), true labels (H, W) and predicted labels (H, W) of each scene, and
        the data set's ``metainfo`` (``classes``, ``palette``).

    Raises:
        ValueError: The samples have no predicted or no true semantic map.
    """
    import mmcv  # mmseg, whose samples these are, brought it
    runner.load_or_resume()
    runner.model.eval()
    loader = runner.build_dataloader(runner.cfg.test_dataloader)
    scenes: list[Scene] = []
    for batch in loader:
        for sample in runner.model.test_step(batch):
            if len(scenes) == count:
                return scenes, loader.dataset.metainfo
            if 'pred_sem_seg' not in sample or 'gt_sem_seg' not in sample:
                raise ValueError('scenes are drawn of semantic segmentation with ground truth; '
                                 f'the samples of this config hold {sorted(sample.keys())}')
            scenes.append((mmcv.imread(sample.img_path, channel_order='rgb'),
                           sample.gt_sem_seg.data[0].cpu().numpy(),
                           sample.pred_sem_seg.data[0].cpu().numpy()))
    return scenes, loader.dataset.metainfo
