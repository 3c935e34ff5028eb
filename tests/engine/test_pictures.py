"""Pictures and criticality of a model on DigitScenes, with random weights."""
import json
import runpy
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

pytest.importorskip('mmseg')

from mmups.attacks import PGD  # noqa: E402
from mmups.engine import criticality as crit  # noqa: E402
from mmups.engine import maps, pictures  # noqa: E402
from mmups.engine.cli import build_runner  # noqa: E402

from .conftest import ROOT  # noqa: E402

CONFIG = ROOT / 'configs/segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'


@pytest.fixture
def runner_of(scenes, tmp_path, monkeypatch):
    """A runner of the demo's config with another upsampler."""
    monkeypatch.chdir(scenes)

    def runner_of(**upsampler):
        cfg = Config.fromfile(CONFIG)
        cfg.model.decode_head.upsampler = upsampler
        cfg.merge_from_dict(dict(work_dir=str(tmp_path), log_level='WARNING',
                                 test_dataloader=dict(num_workers=0, persistent_workers=False,
                                                      batch_size=4)))
        cfg.test_dataloader.dataset.indices = 5
        return build_runner(cfg)

    return runner_of


def test_spectrum(runner_of, tmp_path):
    """Of nearest neighbours: their stop band, no checkerboard; noise on the images is a second
    row of the table."""
    runner = runner_of(type='Interpolate', mode='nearest')
    noise = maps.perturbed(lambda image: (image + 0.3 * torch.rand_like(image)).clamp(0, 1))
    lines = list(pictures.spectrum(runner, 2, tmp_path / 'a.png', noise, 'noisy'))
    assert (tmp_path / 'a.png').stat().st_size > 10000
    cells = [[cell.strip() for cell in line.strip('|').split('|')]
             for text in lines[:-1] for line in text.splitlines() if line.startswith('| decode')]
    # It reaches any size in one step: three of the six modules are called.
    assert [row[2] for row in cells] == ['clean', 'noisy'] * 3
    assert {(row[5], row[6]) for row in cells} == {('0.000', '0.330')}
    assert 'prediction | 32x32 to 128x128 | clean' in lines[-3]
    assert cells[0][3] != cells[1][3]


def test_perturbed_images_are_pixels(runner_of):
    """What the function sees is in [0, 1], and leaving it as it is changes nothing."""
    runner, seen = runner_of(type='DySample'), []
    batch = next(maps.batches_of(runner, 1))
    before = maps.clean(runner.model, batch)['inputs']
    same = maps.perturbed(lambda image: seen.append(image) or image)
    torch.testing.assert_close(same(runner.model, batch)['inputs'], before, rtol=0, atol=1e-4)
    assert 0 <= seen[0].min() < 0.4 < seen[0].max() <= 1
    import mmcv
    path = batch['data_samples'][0].img_path
    image = mmcv.imread(path, channel_order='rgb').transpose(2, 0, 1) / 255
    np.testing.assert_allclose(seen[0][0].numpy(), image, atol=1e-5)


def test_attacked_images_stay_within_the_budget(runner_of):
    runner = runner_of(type='DySample')
    batch = next(maps.batches_of(runner, 1))
    images = [maps.pixels_of(runner.model, prepare(runner.model, batch)['inputs'])
              for prepare in (maps.clean, maps.attacked(PGD(eps=2, steps=2)))]
    assert 1 < 255 * (images[1] - images[0]).abs().max() < 2.01


def test_sampling(runner_of, tmp_path):
    lines = list(pictures.sampling(runner_of(type='DySample'), 1, tmp_path / 'a.png'))
    assert (tmp_path / 'a.png').stat().st_size > 10000
    assert len(lines) == 7 and '0.00% of the points folded' in lines[0]
    with pytest.raises(ValueError, match='samples at points: they are LCTC'):
        list(pictures.sampling(runner_of(type='LCTC'), 0, tmp_path / 'b.png'))
    with pytest.raises(ValueError, match='no image 99'):
        list(pictures.sampling(runner_of(type='DySample'), 99, tmp_path / 'b.png'))


@pytest.mark.parametrize('upsampler', [
    'LCTC', 'CARAFE', pytest.param('SAPA', marks=pytest.mark.slow)])
def test_kernels(upsampler, runner_of, tmp_path):
    lines = list(pictures.kernels(runner_of(type=upsampler), 0, tmp_path / 'a.png'))
    assert (tmp_path / 'a.png').stat().st_size > 10000 and len(lines) == 7


def test_no_kernels(runner_of, tmp_path):
    with pytest.raises(ValueError, match='kernels to show: they are DySample'):
        list(pictures.kernels(runner_of(type='DySample'), 0, tmp_path / 'a.png'))


def test_features(runner_of, tmp_path):
    chosen = dict(nearest=dict(type='Interpolate', mode='nearest'), fade=dict(type='FADE'),
                  no=dict(type='DySample', groups=7))
    lines = list(pictures.features(runner_of(type='DySample'), 0, tmp_path / 'a.png', chosen, 2))
    assert lines[0].startswith('no does not fit: DySample needs in_channels divisible by groups')
    assert lines[1].startswith('3 maps of decode_head.upsample_modules.5 drawn')


def test_model_without_steps(runner_of, tmp_path):
    runner = runner_of(type='DySample')
    runner.model = torch.nn.Sequential()
    with pytest.raises(ValueError, match='Sequential has no upsampling step of mmups'):
        list(pictures.sampling(runner, 0, tmp_path / 'a.png'))


def test_criticality_tool(runner_of, tmp_path, monkeypatch, capsys):
    """Bilinear interpolation in place of bilinear interpolation changes nothing, and the tool
    writes what it prints."""
    runner = runner_of(type='Interpolate', mode='bilinear')
    torch.save(runner.model.state_dict(), tmp_path / 'a.pth')
    options = ['model.decode_head.upsampler._delete_=True',
               'model.decode_head.upsampler.type=Interpolate', 'test_dataloader.num_workers=0',
               'test_dataloader.persistent_workers=False', 'log_level=WARNING']
    monkeypatch.setattr(sys, 'argv', ['criticality.py', str(CONFIG), str(tmp_path / 'a.pth'),
                                      '--work-dir', str(tmp_path), '--cfg-options', *options])
    runpy.run_path(str(ROOT / 'tools/criticality.py'), run_name='__main__')
    rows = json.loads((tmp_path / 'criticality.json').read_text())['rows']
    assert [row['reset'] for row in rows] == [None, *['bilinear'] * 6]
    for row in rows[1:]:
        assert set(row['drop'].values()) == {0} and row['metrics'] == rows[0]['metrics']
        assert row['agreement'] == 1 and row['cosine'] == pytest.approx(1)
    assert len((tmp_path / 'criticality.csv').read_text().splitlines()) == 8
    assert (tmp_path / 'criticality.png').stat().st_size > 10000
    assert '| decode_head.upsample_modules.5 | bilinear |' in capsys.readouterr().out


def test_criticality_of_learned_steps(runner_of):
    """The metrics are those of the config's evaluator, and the weights are as before."""
    runner = runner_of(type='LCTC', kernel_size=7)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    rows = crit.criticality(runner)
    assert len(rows) == 1 + 6 * 4
    assert rows[0]['metrics'] == pytest.approx(runner.test())
    for row in rows[1:]:
        assert row['drop']['mIoU'] == rows[0]['metrics']['mIoU'] - row['metrics']['mIoU']
        assert 0 <= row['agreement'] <= 1 and 0 < row['cosine'] <= 1 + 1e-9
    assert min(row['agreement'] for row in rows[1:]) < 1
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_label_map_of_instances():
    """The most confident one on top, faint ones left out; masks before boxes."""
    class Sample(dict):
        ori_shape = (4, 6)
        __getattr__ = dict.__getitem__

    found = InstanceData(scores=torch.tensor([0.9, 0.5, 0.1]), labels=torch.tensor([0, 4, 7]),
                         bboxes=torch.tensor([[0., 0, 2, 2], [1, 1, 9, 3], [0, 0, 6, 4]]))
    expected = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 1, 5, 5, 5, 5], [0, 5, 5, 5, 5, 5],
                             [0, 0, 0, 0, 0, 0]])
    assert torch.equal(crit.label_map(Sample(pred_instances=found)), expected)
    found.masks = torch.stack([expected == 1, expected == 0, expected > 0])
    assert torch.equal(crit.label_map(Sample(pred_instances=found)),
                       torch.where(expected == 1, 1, torch.where(expected == 0, 5, 0)))
    semantic = PixelData(data=torch.ones(1, 2, 2))
    assert crit.label_map(Sample(pred_sem_seg=semantic)).shape == (2, 2)
    assert crit.label_map(Sample()) is None
