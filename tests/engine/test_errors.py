"""Mistakes that users make end the tools in one line that says what to do."""
import os
import subprocess
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

CONFIG = (Path(__file__).parents[2] / 'configs/segformer'
          / 'segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py')


def last_line(tool, *args, cwd):
    done = tool(*args, cwd=cwd, check=False)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize('args, message', [
    (['no_such_config.py'], "no config 'no_such_config.py'; give a path, or mmdet::"),
    (['mmseg::segformer/no_such_config.py'], 'no_such_config.py'),
    (['nosuchpackage::segformer/x.py'], 'nosuchpackage'),
    ([CONFIG, '--cfg-options', 'model.decode_head.upsampler.type=DySampel'],
     "'DySampel' is not an upsampler of mmups; registered: A2U"),
    ([CONFIG, '--cfg-options', 'model.decode_head.upsampler.group=4'],
     "DySample does not take ['group']; its keys are"),
    ([CONFIG, '--cfg-options', 'model.decode_head.type=mmups.SegformerHaed'],
     'mmups.SegformerHaed is not in the'),
], ids=str)
def test_training(args, message, scenes, tool, tmp_path):
    assert message in last_line(tool, 'train.py', *args, '--work-dir', tmp_path, cwd=scenes)


def test_checkpoint_of_another_model(scenes, tool, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'weight': torch.zeros(2)}), path)
    for script in ('test.py', 'visualize.py'):
        message = last_line(tool, script, CONFIG, path, '--work-dir', tmp_path, cwd=scenes)
        assert "other.pth is no checkpoint of this config's model: of " in message
    message = last_line(tool, 'test.py', CONFIG, tmp_path / 'none.pth', '--work-dir', tmp_path,
                        cwd=scenes)
    assert 'none.pth' in message


def test_host_is_not_installed(tmp_path):
    """An environment with the packages of this one, but without mmseg."""
    venv.create(tmp_path / 'env', with_pip=False)
    packages = tmp_path / 'packages'
    packages.mkdir()
    for path in Path(find_spec('mmengine').origin).parents[1].iterdir():
        if not path.name.removeprefix('onedl_').startswith('mmseg'):
            (packages / path.name).symlink_to(path)
    folder, = (tmp_path / 'env').glob('lib/python*/site-packages')
    (folder / 'packages.pth').write_text(str(packages))
    done = subprocess.run(
        [tmp_path / 'env/bin/python', CONFIG.parents[2] / 'tools/train.py', CONFIG], cwd=tmp_path,
        capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=str(CONFIG.parents[2])))
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert 'mmsegmentation is not installed' in done.stderr.splitlines()[-1]
