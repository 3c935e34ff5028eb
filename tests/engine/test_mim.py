"""mim with mmups by the commands of docs/install.md, word for word, as a wheel and in place.

Each installation is an environment of its own that sees the packages of this one. Trainings are
cut short by options behind the command.
"""
import os
import re
import shlex
import site
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytest.importorskip('mim', reason='needs openmim')

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall('^mim (.*)', (ROOT / 'docs/install.md').read_text(encoding='utf-8'),
                      re.M)
NAME = 'segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128'
SHORT = ['--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
         'train_dataloader.batch_size=2', 'default_hooks.checkpoint.interval=2',
         'param_scheduler.total_steps=2']


class Environment:
    """An environment with mmups in it."""

    def __init__(self, folder, *options):
        venv.create(folder, with_pip=False)
        self.python = folder / 'bin/python'
        packages, = folder.glob('lib/python*/site-packages')
        here = Path(find_spec('mmengine').origin).parents[1]
        (packages / 'zz_this_environment.pth').write_text(f'{here}\n{site.getusersitepackages()}\n')
        self.env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore',
                    'PATH': f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'}
        self.env.pop('PYTHONPATH', None)
        done = subprocess.run(
            [sys.executable, '-m', 'pip', '--python', self.python, 'install', '--no-deps',
             '--no-build-isolation', '--ignore-installed', '--quiet', *options, str(ROOT)],
            env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    def mim(self, *args, cwd, check=True):
        """What ``mim ARGS`` prints."""
        done = subprocess.run([self.python, '-m', 'mim', *map(str, args)], cwd=cwd, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=570)
        assert not check or done.returncode == 0, done.stdout[-5000:]
        return done.stdout


@pytest.fixture(scope='module', params=[
    'wheel', pytest.param('editable', marks=pytest.mark.slow)])
def environment(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return Environment(folder, *(['--editable'] if request.param == 'editable' else []))


def test_package_holds_what_mim_looks_for(environment):
    """The repository's configs and tools, once; and ``import mmups`` is the package."""
    folder, = environment.python.parents[1].glob('lib/python*/site-packages/mmups/.mim')
    for name in ('configs', 'tools'):
        files, originals = (
            sorted(path.relative_to(root) for path in (root / name).rglob('*.*')
                   if path.parent.name != '__pycache__') for root in (folder, ROOT))
        assert files == originals
    done = subprocess.run([environment.python, '-c', 'import mmups; print(mmups.__version__)'],
                          env=environment.env, cwd=folder, capture_output=True, text=True)
    from mmups import __version__
    assert done.stdout.strip() == __version__, done.stderr


def test_configs_by_name(environment, tmp_path):
    """Inherited by name, from wherever the package is, once its glue to mmengine is imported."""
    name = 'mmups::segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'
    (tmp_path / 'child.py').write_text(f"""
_base_ = __import__('mmups.engine') and {name!r}
""")
    code = ("from mmengine.config import Config; cfg = Config.fromfile('child.py'); "
            "print(cfg.model.decode_head.upsampler.type, "
            "cfg.train_dataloader.dataset.get('_scope_'))")
    done = subprocess.run([environment.python, '-c', code], cwd=tmp_path, env=environment.env,
                          capture_output=True, text=True)
    assert done.stdout.split() == ['DySample', 'None'], done.stderr


@pytest.fixture
def folder(scenes, tmp_path):
    """Where the commands can be run."""
    (tmp_path / 'data').symlink_to(scenes / 'data')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    return tmp_path


def command(start):
    """The page's command with this start, as words."""
    line, = (line for line in COMMANDS if line.startswith(start))
    return shlex.split(line)


def is_fork(host):
    """Whether a host comes from the fork, whose distributions have other names."""
    try:
        distribution(dict(mmseg='mmsegmentation', mmdet='mmdet')[host])
    except PackageNotFoundError:
        return True
    return False


def test_search(environment, folder):
    assert NAME in environment.mim(*command('search'), cwd=folder)


def test_train_and_test(environment, folder):
    """A config of the package by its name alone; then mmseg's script, which draws."""
    assert not set(os.listdir(folder)) & {'mmups', 'tools'}
    printed = environment.mim(*command('train mmups'), *SHORT, cwd=folder)
    assert 'Training finished successfully' in printed
    test = command('test mmups')
    checkpoint = folder / test[test.index('--checkpoint') + 1]
    (checkpoint.parent / 'iter_2.pth').rename(checkpoint)
    printed = environment.mim(*test, cwd=folder)
    assert 'mIoU' in printed and 'Testing finished successfully' in printed
    if is_fork('mmseg'):
        return
    printed = environment.mim(*command('test mmseg'), cwd=folder)
    assert 'mIoU' in printed and 'Testing finished successfully' in printed
    assert list((folder / 'pictures').rglob('*.png'))


@pytest.mark.parametrize('host', [
    'mmseg', pytest.param('mmdet', marks=pytest.mark.slow)])
def test_train_with_the_hosts_scripts(environment, host, folder):
    """The script is mmseg's or mmdet's own, the config one of mmups by its path."""
    words = command(f'train {host}')
    if is_fork(host):
        if host == 'mmseg':
            pytest.skip("the fork's mmengine finds no config mmseg::X, unless mmups tells it where")
        words[1] = 'onedl-mmdetection'
    options = SHORT if host == 'mmseg' else [
        '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
        'train_dataloader.batch_size=4', 'param_scheduler.total_steps=1']
    printed = environment.mim(*words, *options, cwd=folder)
    assert 'Training finished successfully' in printed
    assert list(folder.glob('work_dirs/*/*.pth'))


@pytest.mark.slow
def test_gridsearch(environment, folder):
    """One training for each value of a key of the upsampler."""
    printed = environment.mim(*command('gridsearch'), *SHORT, cwd=folder)
    assert 'finished successfully' in printed
    for groups in (4, 8):
        results = f'work_dirs/grid_search_model.decode_head.upsampler.groups_{groups}'
        assert (folder / results / 'iter_2.pth').exists()


def test_unknown_config(environment, tmp_path):
    """One readable error."""
    printed = environment.mim('train', 'mmups', 'no_such_config.py', '--gpus', 0, cwd=tmp_path,
                              check=False)
    assert "no_such_config.py doesn't exist" in printed
