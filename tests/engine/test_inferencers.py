"""The inferencers of both hosts, by the README's lines, word for word."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
EXAMPLES = {re.search(r'import (\w+Inferencer)', block).group(1): block
            for block in re.findall(r'```python\n(.*?)```', README, re.S) if 'Inferencer' in block}
SHORT = {
    'MMSegInferencer': ['train_cfg.max_iters=20', 'param_scheduler.total_steps=20',
                        'train_cfg.val_interval=20', 'default_hooks.checkpoint.interval=20'],
    'DetInferencer': ['train_cfg.max_epochs=1', 'param_scheduler.total_steps=1',
                      'train_dataloader.batch_size=4'],
}


@pytest.mark.parametrize('name', SHORT)
def test_readme_example(name, scenes, tool, tmp_path):
    """A short training in place of the README's, then its lines; the picture is drawn on."""
    config, weights = re.findall(r"'((?:configs|work_dirs)/.*?)'", EXAMPLES[name])
    picture, = re.findall(r"'(data/.*?)'", EXAMPLES[name])
    (tmp_path / 'data').symlink_to(scenes / 'data')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    tool('train.py', config, '--cfg-options', *SHORT[name], cwd=tmp_path)
    work_dir = (tmp_path / weights).parent
    shutil.move((work_dir / 'last_checkpoint').read_text(), tmp_path / weights)

    code = EXAMPLES[name] + '\nprint(inferencer.model.dataset_meta, result["predictions"])'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True,
                          text=True, env=dict(os.environ, OMP_NUM_THREADS='1',
                                              PYTHONPATH=str(ROOT)))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'digit'" in done.stdout  # of the data set it was trained on, not of a stock one
    drawn, plain = (cv2.imread(str(path)) for path in (
        tmp_path / 'outputs/vis' / Path(picture).name, tmp_path / picture))
    assert drawn.shape == plain.shape
    if name == 'MMSegInferencer':  # each pixel has got a colour
        assert np.mean(np.any(drawn != plain, axis=2)) > 0.9
