"""Every command of the README and of docs/, word for word.

Trainings and data sets are cut short by options behind the command. Those on data sets that are
not here must get as far as to miss the data set.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2]
COMMANDS = sorted({
    line for page in (ROOT / 'README.md', *(ROOT / 'docs').glob('*.md'))
    for block in re.findall(r'```bash\n(.*?)```', page.read_text(encoding='utf-8'), re.S)
    for line in block.splitlines() if line.startswith('python ')})
SHORT = {
    'iterations': ['train_cfg.max_iters=2', 'train_cfg.val_interval=2',
                   'default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2',
                   'param_scheduler.total_steps=2'],
    'epochs': ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
               'train_dataloader.batch_size=4', 'param_scheduler.total_steps=1'],
}
#: Cannot be run as they stand.
FORMS = [line for line in COMMANDS if 'CONFIG' in line]
TRAININGS = [line for line in COMMANDS if line not in FORMS
             and ('tools/train.py' in line or '--train' in line)]
SWEEPS = [line for line in COMMANDS if 'sweep/sweep.py' in line]
COUNTS = [line for line in COMMANDS if 'benchmark.py complexity' in line]  # of all presets
SCENES = [line for line in COMMANDS if 'dataset_converters/digit_scenes.py' in line]
PHOTOS = [line for line in COMMANDS if 'dataset_converters/photos.py' in line]
REPORTS = [line for line in COMMANDS if 'compare.py report' in line]
COMPARISONS = [line for line in COMMANDS
               if 'compare.py' in line and line not in FORMS + REPORTS]
MEASURES = [line for line in COMMANDS if re.search('benchmark.py (speed|memory)', line)]
#: Behind a measurement, so that it takes seconds.
TINY = ['--presets', 'dysample', '--channels', '32', '--guide-channels', '32', '--size', '4', '4',
        '--shape', '64', '64']
OTHERS = [line for line in COMMANDS if line not in (
    FORMS + TRAININGS + SWEEPS + COUNTS + SCENES + PHOTOS + REPORTS + COMPARISONS + MEASURES)]


@pytest.fixture
def run(scenes, tmp_path):
    """Runs a command in a folder that looks like the repository and has DigitScenes."""
    for name in ('tools', 'configs', 'tests', 'data'):
        (tmp_path / name).symlink_to((scenes if name == 'data' else ROOT) / name)

    def run(line, *more):
        words = [sys.executable, *shlex.split(line)[1:], *more]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=570,
                              env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))

    return run


def test_commands_are_found():
    assert len(OTHERS) >= 7 and len(TRAININGS) >= 7 and len(SWEEPS) >= 2
    assert COUNTS and FORMS and len(MEASURES) >= 6
    assert len(SCENES) >= 2 and len(PHOTOS) == 2 and REPORTS and COMPARISONS


@pytest.mark.parametrize('line', [
    *OTHERS, *(pytest.param(line, marks=pytest.mark.slow) for line in COUNTS)])
def test_runs(line, run):
    done = run(line)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout


@pytest.mark.parametrize('line', SCENES)
def test_makes_scenes(line, run):
    done = run(line, '--train', '16', '--val', '8')
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def photos(run):
    """Makes a few pairs of photographs by a command."""
    def photos(line):
        done = run(line, '--train', '8', '--test', '4')
        assert done.returncode == 0, done.stderr[-3000:]
    return photos


@pytest.mark.parametrize('line', PHOTOS)
def test_makes_photos(line, photos):
    photos(line)


@pytest.mark.parametrize('line', REPORTS)
def test_reports(line, run, tmp_path):
    """On the runs that are kept as evidence."""
    out = Path(shlex.split(line)[3])
    shutil.copytree(ROOT / 'docs/evidence' / out.name, tmp_path / out)
    (tmp_path / out / 'report.md').unlink()
    (tmp_path / 'docs').symlink_to(ROOT / 'docs')
    done = run(line)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / out / 'report.md').exists()


@pytest.mark.slow
@pytest.mark.parametrize('line', COMPARISONS)
def test_compares(line, run, tmp_path):
    done = run(line, '--seeds', '0', '--cfg-options', *SHORT['iterations'])
    assert done.returncode == 0, done.stderr[-3000:]
    report, = tmp_path.glob('work_dirs/*/report.md')
    assert 'mIoU' in report.read_text()


@pytest.mark.parametrize('line', MEASURES)
def test_measures(line, run):
    done = run(line, *TINY, *(['--rounds', '1'] if ' speed' in line else []))
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search('^(\\| |### )dysample', done.stdout, re.M)


@pytest.mark.parametrize('line', TRAININGS)
def test_trains(line, run, photos, tmp_path):
    if 'digit-scenes' in line or 'photo-' in line:
        if 'photo-' in line:
            photos(next(line for line in PHOTOS if ' noise ' in line))
        options = [] if '--cfg-options' in line else ['--cfg-options']
        done = run(line, *options, *SHORT['epochs' if '8e_' in line else 'iterations'])
        assert done.returncode == 0, done.stderr[-3000:]
        assert re.search('mIoU|bbox_mAP|abs_rel|PSNR', done.stdout)
        if '--out' in line:
            swapped = tmp_path / re.search(r'--out (\S+)', line).group(1)
            assert re.search(r"upsampler=dict\(.*type='(DySample|FADE)'", swapped.read_text(), re.S)
        if 'published_keys' in line:
            published, = tmp_path.glob('work_dirs/published/*-????????.pth')
            assert set(torch.load(published)) == {'meta', 'state_dict'}
    else:
        done = run(line)
        assert done.returncode != 0
        assert re.search(r"No such file or directory: '.*data/(coco|ade)/", done.stderr)


def test_forms(run):
    """Their words besides the places to fill are there."""
    tools = {line: ' '.join(takewhile(lambda word: not re.search('CONFIG|^-', word), line.split()))
             for line in FORMS}
    helps = {tool: run(tool, '--help').stdout for tool in set(tools.values())}
    for line in FORMS:
        for word in shlex.split(line)[2:]:
            if word.startswith('--'):
                assert word in helps[tools[line]], line
            elif '/' in word:
                assert (ROOT / word).parent.is_dir(), line


@pytest.mark.slow
@pytest.mark.parametrize('line', [line for line in SWEEPS if '--include' in line])
def test_sweeps(line, run):
    done = run(line)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'mmseg::segformer' in done.stdout
