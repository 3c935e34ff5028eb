import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENV = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))


def run(script, *args, cwd, check=True, **variables):
    """Run a script of tools/ as a user would, from the folder that holds ``data``."""
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / script), *map(str, args)], cwd=cwd,
                          env=dict(ENV, **variables), capture_output=True, text=True, timeout=570)
    if check and done.returncode:
        raise AssertionError(f'{script} {args} failed:\n{done.stdout[-3000:]}{done.stderr[-5000:]}')
    return done


@pytest.fixture(scope='session')
def tool():
    return run


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """A folder with few DigitScenes, of all kinds that configs read, below ``data``."""
    folder = tmp_path_factory.mktemp('scenes')
    for name, *options in (('digit_scenes', ), ('digit_scenes_14', '--classes', 14),
                           ('digit_scenes_64', '--size', 64)):
        run('dataset_converters/digit_scenes.py', f'data/{name}', '--train', 16, '--val', 8,
            *options, cwd=folder)
    return folder


@pytest.fixture(scope='session')
def all_scenes(tmp_path_factory):
    """A folder with DigitScenes as the demo makes it."""
    folder = tmp_path_factory.mktemp('all_scenes')
    run('dataset_converters/digit_scenes.py', 'data/digit_scenes', cwd=folder)
    return folder


@pytest.fixture
def own_scenes(scenes, tmp_path):
    """A copy of ``scenes`` that a test may break."""
    shutil.copytree(scenes / 'data', tmp_path / 'data')
    return tmp_path
