"""mmups by the commands of OpenMMLab's package manager, installed as a wheel and in place.

Each installation is an environment of its own that sees the packages of this one.
"""
import os
import site
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytest.importorskip('mim', reason='needs openmim')

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope='module', params=['wheel', 'editable'])
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


def test_search(environment, tmp_path):
    assert NAME in environment.mim('search', 'mmups', '--valid-config', cwd=tmp_path)


def test_train_and_test(environment, scenes, tmp_path):
    """A config of the package by its name alone."""
    printed = environment.mim('train', 'mmups', f'{NAME}.py', '--gpus', 0, '--work-dir', tmp_path,
                              *SHORT, cwd=scenes)
    assert 'Training finished successfully' in printed
    printed = environment.mim('test', 'mmups', f'{NAME}.py', '--checkpoint',
                              tmp_path / 'iter_2.pth', '--gpus', 0, '--work-dir', tmp_path / 'test',
                              cwd=scenes)
    assert 'mIoU' in printed and 'Testing finished successfully' in printed


@pytest.mark.parametrize('package', ['mmseg', 'mmdet'])
def test_train_with_the_hosts_scripts(environment, package, scenes, tmp_path):
    """The script is mmseg's or mmdet's own, the config one of mmups by its path."""
    if 'editable' in str(environment.python):
        pytest.skip('as for a wheel')
    name, options = f'segformer/{NAME}.py', SHORT
    if package == 'mmdet':
        name = 'faster_rcnn/faster-rcnn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py'
        options = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
                   'train_dataloader.batch_size=4', 'param_scheduler.total_steps=1']
    printed = environment.mim('train', package, ROOT / 'configs' / name, '--gpus', 0, '--work-dir',
                              tmp_path, *options, cwd=scenes)
    assert 'Training finished successfully' in printed
    assert list(tmp_path.glob('*.pth'))


@pytest.mark.slow
def test_gridsearch(environment, scenes, tmp_path):
    """One training for each value of a key of the upsampler."""
    printed = environment.mim(
        'gridsearch', 'mmups', f'{NAME}.py', '--gpus', 0, '--work-dir', tmp_path / 'grid',
        '--search-args', '--model.decode_head.upsampler.groups 4 8', *SHORT, cwd=scenes)
    assert 'finished successfully' in printed
    for groups in (4, 8):
        folder = tmp_path / f'grid_search_model.decode_head.upsampler.groups_{groups}'
        assert (folder / 'iter_2.pth').exists()


def test_unknown_config(environment, tmp_path):
    """One readable error."""
    printed = environment.mim('train', 'mmups', 'no_such_config.py', '--gpus', 0, cwd=tmp_path,
                              check=False)
    assert "no_such_config.py doesn't exist" in printed
