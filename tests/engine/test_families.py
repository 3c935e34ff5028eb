"""OpenMMLab's packages and their maintained fork: what differs is seen to, the rest is equal."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from mmups.engine.families import name_hosts

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / 'configs/segformer/'
          'segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py')


@pytest.mark.parametrize(('module', 'config'), [
    ('mmdet', 'retinanet/retinanet_r50_fpn_1x_coco.py'),
    ('mmseg', 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')])
def test_stock_configs_are_found_whatever_brought_them(module, config, monkeypatch):
    """Here as if the distribution of this name were not installed."""
    pytest.importorskip(module)
    monkeypatch.setitem(MODULE2PACKAGE, module, 'another-name')
    name_hosts()
    assert MODULE2PACKAGE[module] == module
    assert Config.fromstring(f'_base_ = "{module}::{config}"', '.py').model.backbone.type


def test_packages_keep_their_names():
    """Neither what is installed under the name in the table is renamed, nor what is absent."""
    names = dict(MODULE2PACKAGE)
    name_hosts()
    assert names == MODULE2PACKAGE


class Harmful:

    def __reduce__(self):
        return os.system, ('echo harm was done',)


def test_tools_run_no_code_of_a_checkpoint(scenes, tool, tmp_path):
    pytest.importorskip('mmseg')
    if not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):
        pytest.skip('PyTorch before 2.6 is left as mmengine has it')
    torch.save(dict(state_dict={}, evil=Harmful()), tmp_path / 'evil.pth')
    for script, args in (('test.py', [tmp_path / 'evil.pth']),
                         ('train.py', ['--resume', tmp_path / 'evil.pth'])):
        done = tool(script, CONFIG, *args, '--work-dir', tmp_path, cwd=scenes, check=False)
        assert done.returncode != 0
        assert 'harm was done' not in done.stdout
        assert 'eights only load failed' in done.stderr


@pytest.mark.skipif('OTHER_PYTHON' not in os.environ,
                    reason='OTHER_PYTHON names no interpreter with the other family')
def test_equal_outputs(tmp_path):
    """The same weights and inputs give the same numbers in both, in every slot and model."""
    script = str(ROOT / 'tests/family_outputs.py')
    file = str(tmp_path / 'outputs.pth')
    for python, step in ((os.environ['OTHER_PYTHON'], 'write'), (sys.executable, 'compare')):
        done = subprocess.run([python, script, step, file], cwd=ROOT, text=True,
                              capture_output=True, env=dict(os.environ, PYTHONPATH=str(ROOT)))
        assert done.returncode == 0, done.stderr[-3000:]
    assert 'outputs are equal' in done.stdout
