"""Image restoration from files to a sheet, by the runner that the tools build."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

pytest.importorskip('skimage')
pytest.importorskip('sklearn')

from mmups.attacks import PGD  # noqa: E402
from mmups.datasets.photo_files import write_photos  # noqa: E402
from mmups.datasets.random_batch import random_batch  # noqa: E402
from mmups.engine import predict  # noqa: E402
from mmups.engine.cli import build_runner  # noqa: E402
from mmups.engine.robustness.victims import victim_of  # noqa: E402
from mmups.evaluation import psnr, round_to_8_bit  # noqa: E402
from mmups.visualization import draw_restorations  # noqa: E402

from .conftest import ROOT  # noqa: E402

CONFIG = ROOT / 'configs/nafnet/nafnet_w16_lctc-7-3_1xb8-600it_photo-noise-64x64.py'


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The demo's, in small."""
    monkeypatch.chdir(tmp_path)
    write_photos('noise', 'data/photo_noise', train=4, test=3)
    cfg = Config.fromfile(CONFIG)
    cfg.model.generator.update(mid_channels=4, middle_blk_num=1, enc_blk_nums=[1],
                               dec_blk_nums=[1])
    loader = dict(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.merge_from_dict(dict(
        work_dir=str(tmp_path / 'work'), log_level='WARNING', train_dataloader=loader,
        val_dataloader=loader, test_dataloader=loader,
        train_cfg=dict(max_iters=2, val_interval=2), param_scheduler=dict(total_steps=2),
        default_hooks=dict(checkpoint=dict(interval=2))))
    return cfg


def test_train_test_and_draw(cfg, tmp_path):
    runner = build_runner(cfg)
    runner.train()
    checkpoint = tmp_path / 'work/iter_2.pth'
    cfg.update(load_from=str(checkpoint))
    tester = build_runner(cfg.copy())
    metrics = tester.test()
    assert set(metrics) == {'PSNR', 'SSIM'} and 5 < metrics['PSNR'] < 30
    assert predict.kind_of(tester) == 'image'
    scenes = predict.predict_restorations(tester, 12)
    assert len(scenes) == 3
    assert np.mean([scene.psnr[1] for scene in scenes]) == pytest.approx(metrics['PSNR'], abs=1e-4)
    sample = tester.test_dataloader.dataset[0]
    truth, noisy = sample['data_samples'].gt_img, sample['inputs']
    np.testing.assert_array_equal(scenes[0].truth, truth.permute(1, 2, 0))
    np.testing.assert_array_equal(scenes[0].degraded, noisy.permute(1, 2, 0))
    expected = psnr(round_to_8_bit(noisy / 255), round_to_8_bit(truth / 255)).item()
    assert scenes[0].psnr[0] == pytest.approx(expected) and 19 < expected < 23
    with pytest.raises(ValueError, match='label maps'):
        predict.predict_segmentations(tester, 1)
    out = draw_restorations(scenes, tmp_path / 'pictures/sheet.png')
    assert out.stat().st_size > 10000
    with pytest.raises(ValueError, match='at least one'):
        draw_restorations([], out)


def test_attacked(cfg, tmp_path):
    """PSNR falls with the budget; the loss is of what is not clamped; segpgd comes to nothing."""
    runner = build_runner(cfg)
    runner.train()
    cfg.update(load_from=str(tmp_path / 'work/iter_2.pth'),
               test_cfg=dict(type='mmups.RobustnessTestLoop', attacks=['pgd', 'cospgd'],
                             eps=[2, 8], steps=[3]))
    metrics = build_runner(cfg.copy()).test()
    for name in ('pgd', 'cospgd'):
        values = [metrics[f'{about}/PSNR'] for about in (
            'clean', f'attack/{name}/linf/2/3', f'attack/{name}/linf/8/3')]
        assert values[0] > values[1] > values[2]
    cfg.update(work_dir=str(tmp_path / 'refused'))
    cfg.test_cfg.update(attacks=['pgd', 'segpgd'])
    with pytest.raises(ValueError, match='segpgd tells right pixels from wrong ones'):
        build_runner(cfg.copy()).test()
    assert not list(tmp_path.glob('refused/**/robustness.json'))


def test_the_attacked_loss(cfg):
    """By hand: the mean over pixels and colours of the error of the output as it is."""
    runner = build_runner(cfg)
    batch = next(iter(runner.build_dataloader(cfg.test_dataloader)))
    victim = victim_of(runner.model.eval(), batch)
    victim.model.generator.ending.bias.data += 1  # far out of [0, 1]
    truth = torch.stack([sample.gt_img for sample in batch['data_samples']]) / 255
    output = victim.model.generator(torch.stack(list(batch['inputs'])) / 255)
    seen = []
    victim.attack(PGD(steps=1, random_start=False),
                  callback=lambda step, image, values: seen.append(values))
    torch.testing.assert_close(seen[0], output.detach())
    assert output.mean() > 1 and torch.equal(victim.target, truth)


def test_random_batches(cfg):
    """What costs are measured on: any size, with a truth that is another image."""
    model = MODELS.build(cfg.model)
    batch = random_batch(cfg, (20, 30), 2)
    loss = model(**model.data_preprocessor(batch, True), mode='loss')['loss']
    assert loss.isfinite() and loss > -20
    assert model.test_step(random_batch(cfg, (20, 30), 1))[0].pred_img.shape == (3, 20, 30)
