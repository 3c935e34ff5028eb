"""A depth estimator on DigitScenes: what is predicted, measured, attacked and drawn."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('mmseg')

from mmups.engine import predict  # noqa: E402
from mmups.engine.cli import build_runner  # noqa: E402

from .conftest import ROOT  # noqa: E402

CONFIG, = ROOT.glob('configs/depthformer/*digit-scenes*.py')


@pytest.fixture
def runner_of(scenes, tmp_path, monkeypatch):
    """A runner of the config on a few scenes, with initial weights."""
    monkeypatch.chdir(scenes)

    def runner_of(path=CONFIG, **test_cfg):
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(dict(work_dir=str(tmp_path), log_level='WARNING',
                                 test_dataloader=dict(num_workers=0, persistent_workers=False,
                                                      batch_size=2)))
        cfg.test_dataloader.dataset.indices = 3
        cfg.test_cfg = test_cfg or cfg.test_cfg
        return build_runner(cfg)
    return runner_of


def test_predictions(runner_of, scenes):
    """Images and depths as they are in the files; what the model says."""
    runner = runner_of()
    assert predict.kind_of(runner) == 'depth'
    found = predict.predict_depths(runner, 9)
    assert len(found) == 3
    for index, (image, truth, prediction) in enumerate(found):
        folder = scenes / runner.cfg.test_dataloader.dataset.data_root
        depth = cv2.imread(str(folder / f'depth/val/{index:06d}.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(truth, depth / 1000, rtol=1e-6)
        assert image.shape[:2] == truth.shape == prediction.shape
        assert (image == cv2.imread(str(folder / f'images/val/{index:06d}.png'))[..., ::-1]).all()
        assert 0 < prediction.min() < prediction.max() < 10


def test_labels_are_no_depth(runner_of):
    name, = ROOT.glob('configs/segformer/segformer_mit-b0_dysample_*digit-scenes-128x128.py')
    assert predict.kind_of(runner_of(name)) == 'labels'


def test_attacked(runner_of):
    """By the error of logarithms, which PGD raises; the table has the metrics of depth."""
    from mmups.engine.robustness.loop import summary
    runner = runner_of(type='mmups.RobustnessTestLoop', attacks=['pgd'], eps=[4, 16], steps=[3])
    torch.manual_seed(0)
    for parameter in runner.model.parameters():  # initial weights hardly see the image
        torch.nn.init.normal_(parameter, std=0.05)
    metrics = runner.test()
    errors = [metrics[f'{about}/log10'] for about in (
        'clean', 'attack/pgd/linf/4/3', 'attack/pgd/linf/16/3')]
    assert errors[0] < errors[1] < errors[2]
    assert summary(runner.test_loop.rows).startswith('| | abs_rel | a1 | rmse |')
