"""projects/stereo as a user of mmups: its network with the upsamplers, its configs, its attack."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmups import presets
from mmups.attacks import PGD
from mmups.models import resolve_upsampler

pytest.importorskip('skimage')
pytest.importorskip('sklearn')

from projects.stereo.stereo import CorrelationNet, attack_views  # noqa: E402
from projects.stereo.stereo.network import full_size  # noqa: E402
from projects.stereo.stereo.registry import MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / 'projects/stereo'
CONFIGS = sorted(PROJECT.glob('configs/*.py'))
UNGUIDED = [name for name, cfg in presets().items() if not resolve_upsampler(cfg)[0].guided]


def batch(n=2, size=(21, 37)):
    samples = dict(disparity=torch.rand(n, *size) * 30, valid=torch.rand(n, *size) > 0.2,
                   occluded=torch.rand(n, *size) > 0.8)
    return dict(inputs=torch.rand(n, 6, *size), data_samples=samples)


@pytest.mark.parametrize('preset', [*UNGUIDED, 'fade', 'sapa-base', 'freqfusion'])
def test_steps_with(preset):
    """Builds, and one step reaches every weight; the size is odd at each level."""
    net = MODELS.build(dict(type='CorrelationNet', upsampler=presets()[preset], max_disparity=16))
    net.init_weights()
    loss = net(**batch(), mode='loss')['loss']
    loss.backward()
    assert torch.isfinite(loss)
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert net(**batch(1)).shape == (1, 21, 37)


def test_both_ways_to_an_upsampler_of_mmups():
    """By the registry alone, under its prefix; by a slot, which knows the channels."""
    up = MODELS.build(dict(type='mmups.LCTC', in_channels=64))
    net = CorrelationNet(upsampler=dict(type='mmups.LCTC'))
    assert [type(m) for m in net.tokenizer.upsample_modules] == [type(up)] * 2
    assert [m.guide_channels for m in net.tokenizer.upsample_modules] == [128, 64]


def test_correlation_in_loops():
    net = CorrelationNet(upsampler=dict(mode='bilinear'), max_disparity=12)
    left, right = torch.randn(2, 2, 5, 3, 7, dtype=torch.float64)
    volume = net.correlation(left, right)
    assert volume.shape == (2, 4, 3, 7)
    for d in range(4):
        for x in range(7):
            expected = torch.zeros(2, 3, dtype=torch.float64)
            if x >= d:
                expected = (left[..., x] * right[..., x - d]).sum(1) / 5**0.5
            torch.testing.assert_close(volume[:, d, :, x], expected)


@pytest.mark.parametrize('size', [(9, 13), (12, 14), (1, 3)], ids='{0[0]}x{0[1]}'.format)
def test_full_size_puts_pixel_i_at_4i(size):
    columns = torch.arange(-(-size[1] // 4)) * 4.
    small = columns.expand(1, -(-size[0] // 4), -1)
    expected = torch.arange(size[1]).clamp(max=columns[-1]).float().expand(1, *size)
    torch.testing.assert_close(full_size(small, size), expected)


def test_invalid_pixels_have_no_say():
    net = CorrelationNet(upsampler=dict(mode='bilinear'), max_disparity=16).eval()
    data = batch()
    loss = net(**data, mode='loss')['loss']
    data['data_samples']['disparity'][~data['data_samples']['valid']] = 1e6
    assert torch.equal(net(**data, mode='loss')['loss'], loss)
    data['data_samples']['valid'][:] = False
    assert net(**data, mode='loss')['loss'] == 0


def test_mistakes_say_what_is_expected():
    with pytest.raises(ValueError, match='multiple of 4, got 30'):
        CorrelationNet(upsampler=dict(mode='bilinear'), max_disparity=30)
    net = CorrelationNet(upsampler=dict(mode='bilinear'), max_disparity=16)
    with pytest.raises(ValueError, match=r'\(N, 6, H, W\), got \(1, 3, 16, 16\)'):
        net(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="got 'train'"):
        net(torch.rand(1, 6, 16, 16), mode='train')


def test_both_views_are_attacked():
    """By steps of their own, from noise of their own, within the budget and within [0, 1]."""
    net = CorrelationNet(upsampler=dict(type='LCTC'), max_disparity=16).eval()
    data = batch(1)
    data['inputs'][..., :20] = 1.  # where no step may leave the range
    for start in (False, True):
        attacked = attack_views(net, PGD(eps=4, steps=3, random_start=start), **data)
        left, right = (attacked - data['inputs']).split(3, 1)
        for view in (left, right):
            assert 2.9 / 255 < view.abs().max() <= 4 / 255
        assert not torch.equal(left, right)
        assert attacked.min() >= 0 and attacked.max() <= 1
        clean, worse = (net(x, data['data_samples'], mode='loss')['loss']
                        for x in (data['inputs'], attacked))
        assert worse > clean


def short(cfg, folder):
    """A config that trains two iterations on small pairs, and tests on one of them."""
    cfg.work_dir = str(folder)
    small = dict(size=(32, 64), length=4)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        loader.dataset.update(small)
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    return cfg


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_builds(path):
    cfg = Config.fromfile(path)
    name = re.match(r'correlation-net_(.+?)_1xb4', path.stem)[1]
    assert cfg.model.upsampler == presets()[name]
    model = MODELS.build(cfg.model)
    kind, _ = resolve_upsampler(presets()[name])
    assert [type(m) for m in model.tokenizer.upsample_modules] == [kind] * 2


def test_trains_and_tests(tmp_path):
    path, = (path for path in CONFIGS if 'lctc' in path.stem)
    runner = Runner.from_cfg(short(Config.fromfile(path), tmp_path))
    before = runner.model.tokenizer.upsample_modules[0].large.weight.detach().clone()
    runner.train()
    assert not torch.equal(runner.model.tokenizer.upsample_modules[0].large.weight, before)
    metrics = runner.test()
    assert metrics.keys() == {f'stereo/{name}{part}' for name in ('EPE', '3px')
                              for part in ('', '_visible')}
    assert 0 < metrics['stereo/EPE'] < 64


@pytest.mark.slow
def test_commands_of_its_readme(tmp_path):
    """In their order, the training cut short; they leave a checkpoint, a table and a picture."""
    text = (PROJECT / 'README.md').read_text(encoding='utf-8')
    commands = [line for block in re.findall(r'```bash\n(.*?)```', text, re.S)
                for line in block.splitlines() if line.startswith('python ')]
    assert [shlex.split(line)[1].rpartition('/')[2] for line in commands] == [
        'train.py', 'test.py', 'draw.py', 'attack.py']
    for name in ('tools', 'configs', 'projects'):
        (tmp_path / name).symlink_to(ROOT / name)
    cut = ['--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
           'default_hooks.checkpoint.filename_tmpl=iter_500.pth',
           'default_hooks.checkpoint.interval=2', 'val_dataloader.dataset.length=4']
    more = {'train.py': cut, 'attack.py': ['--steps', '1', '--eps', '0', '1']}
    for line in commands:
        words = shlex.split(line)
        done = subprocess.run(
            [sys.executable, *words[1:], *more.get(Path(words[1]).name, [])], cwd=tmp_path,
            capture_output=True, text=True, timeout=570,
            env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))
        assert done.returncode == 0, line + done.stderr[-3000:]
    assert len(re.findall(r'^\| [01] \|', done.stdout, re.M)) == 2
    assert list(tmp_path.rglob('sheet.png'))


@pytest.mark.slow
def test_learns(tmp_path):
    """Trained to the end it finds most disparities, of photographs and of the Middlebury pair."""
    path, = (path for path in CONFIGS if 'bilinear' in path.stem)
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    found = {'val': runner.val_loop.run(), 'test': runner.test()}
    assert found['val']['stereo/EPE_visible'] < 5
    assert found['test']['stereo/EPE_visible'] < 8
