"""Configs of image restoration: recipes, one step of a small network, one prediction."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS
from mmengine.structures import BaseDataElement

from mmups.models.upsamplers import BaseUpsampler

CONFIGS = Path(__file__).parents[1] / 'configs'
PATHS = [path for folder in ('nafnet', 'restormer')
         for path in sorted((CONFIGS / folder).glob('*.py'))]
#: What makes a network small, and as many upsampling steps.
SMALL = {
    'nafnet': (dict(mid_channels=4, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]), 2),
    'restormer': (dict(dim=4, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1), 3),
}


def batch(size):
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    samples = [BaseDataElement(metainfo=dict(img_path='a.png'), gt_img=image) for image in images]
    return dict(inputs=list(images.flip(0)), data_samples=samples)


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_builds_and_steps(path):
    """With the upsampler of its name in every step; every parameter learns; any size is restored.
    """
    cfg = Config.fromfile(path)
    small, steps = SMALL[path.parent.name]
    cfg.model.generator.update(small)
    model = MODELS.build(cfg.model)
    model.init_weights()
    upsamplers = [module for module in model.modules() if isinstance(module, BaseUpsampler)]
    expected = ['LCTC'] * steps if 'lctc' in path.name else []
    assert [type(module).__name__ for module in upsamplers] == expected
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    before = [p.detach().clone() for p in model.parameters()]
    for _ in range(2):  # scales that start at zero hold back what is behind them for a step
        losses = model.train_step(batch((32, 32)), optim)
    assert losses['loss'].isfinite()
    same = [name for old, (name, new) in zip(before, model.named_parameters())
            if torch.equal(old, new)]
    assert same == []
    with torch.no_grad():
        samples = model.eval().test_step(batch((19, 26)))
    assert [sample.pred_img.shape for sample in samples] == [(3, 19, 26)] * 2


@pytest.mark.parametrize('folder, rates', [
    ('nafnet', {0: 1e-3, 2000: (1e-3 + 1e-7) / 2, 4000: 1e-7}),
    ('restormer', {0: 3e-4, 920: 3e-4, 1960: (3e-4 + 1e-6) / 2, 3000: 1e-6}),
])
def test_learning_rates_on_gopro(folder, rates):
    """Of the papers' schedules, at their ends and half-way down the cosine, in hundreds of
    iterations."""
    path = next(path for path in PATHS if path.parent.name == folder and 'gopro' in path.name)
    cfg = Config.fromfile(path)
    assert cfg.train_cfg.max_iters == 100 * max(rates)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))],
                                cfg.optim_wrapper.optimizer.lr)
    schedule = {key: value // 100 if isinstance(value, int) and value > 1 else value
                for key, value in cfg.param_scheduler.items()}
    scheduler = PARAM_SCHEDULERS.build(dict(schedule, optimizer=optimizer))
    for step in range(max(rates) + 1):
        if step in rates:
            assert optimizer.param_groups[0]['lr'] == pytest.approx(rates[step], rel=1e-3)
        optimizer.step()
        scheduler.step()
