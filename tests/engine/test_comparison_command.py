"""tools/compare.py from its command line."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from comparison_cases import SEG, TINY  # noqa: E402

ROOT = Path(__file__).parents[2]


def words(folder, *more, **options):
    return [SEG, '--out', str(folder), *more, '--cfg-options',
            *(f'{key}={value}' for key, value in {**TINY, **options}.items())]


@pytest.mark.parametrize(('more', 'message'), [
    (('--upsamplers', 'bilinear', '--eps', '1'), '--eps belongs to --robustness'),
    (('--upsamplers', 'bilinear', '--jobs', '0'), '--jobs must be 1 or more, got 0'),
    (('--upsamplers', 'bilinear', '--executor-options', 'a=1'), 'belongs to --executor'),
    (('--upsamplers', 'bilinear', '--variant', 'a', 'b'), '--variant: takes a name, an upsampler'),
    (('--upsamplers', 'bilinear', '--variant', 'a', 'b=1', 'c=2'), "got 'a b=1 c=2'"),
    (('--upsamplers', 'bilinear', '--variant', 'a', 'b', 'c=2', 'd'), "'d' is not KEY=VALUE"),
    ((), 'required: --upsamplers'),
], ids=['eps', 'jobs', 'options', 'variant', 'upsampler', 'setting', 'upsamplers'])
def test_usage(more, message, tool, tmp_path):
    done = tool('compare.py', SEG, '--out', tmp_path, *more, cwd=tmp_path, check=False)
    assert done.returncode == 2 and message in done.stderr


def test_a_plan_without_data(tool, tmp_path):
    """For a cluster that is not here, on data that are not here; nothing is written."""
    done = tool('compare.py', 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', '--upsamplers',
                'nearest', 'dysample', '--variant', 'normed', 'nearest',
                'model.neck.norm_cfg.type=BN', '--jobs', 4, '--executor', 'slurm',
                '--executor-options',
                'slurm_partition=gpu', '--robustness', '--images', 100, '--out', tmp_path / 'out',
                '--dry-run', cwd=tmp_path)
    for line in ('neck, mmdet.FPN to mmups.FPN (3 x 256, x2, guide 256)',
                 '12 epochs a run, 2 images an iteration',
                 'CocoMetric; added: BoundaryCocoMetric (boundary AP)',
                 'attack pgd, linf eps 2, steps 10 on 100 images',
                 'with:       normed: model.neck.norm_cfg.type=BN',
                 '9, 4 at a time, by submitit, slurm, gpus_per_node=1, slurm_partition=gpu',
                 'dysample, seed 2                    to do', 'nothing is measured yet'):
        assert line in done.stdout, line
    assert not list(tmp_path.iterdir())


def test_problems_end_in_their_list(tool, tmp_path):
    done = tool('compare.py', *words(tmp_path / 'out', '--upsamplers', 'bilinea', '--seeds', 1, 1),
                cwd=tmp_path, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert "- --upsamplers: there is no upsampler 'bilinea'" in done.stderr
    assert '- --seeds: 1 is given 2 times' in done.stderr
    assert not list(tmp_path.iterdir())


def child_of(pid):
    """The process of a run that a command has started."""
    children = Path(f'/proc/{pid}/task/{pid}/children')
    return [int(child) for child in children.read_text().split()
            if b'\0run\0' in Path(f'/proc/{child}/cmdline').read_bytes()]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_killed_and_called_again(scenes, tool, tmp_path):
    """kill -9 of a run in mid-training: it is listed with the end of its log; the same command
    goes on from its last checkpoint, and everything ends in a report."""
    folder = tmp_path / 'out'
    call = words(folder, '--upsamplers', 'bilinear', 'dysample', '--seeds', '0',
                 **{'train_cfg.max_iters': 20, 'param_scheduler.total_steps': 20,
                    'log_level': 'INFO'})
    main = subprocess.Popen([sys.executable, str(ROOT / 'tools/compare.py'), *call], cwd=scenes,
                            env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    first = folder / 'runs/bilinear/seed_0'
    deadline = time.time() + 240
    while not (first / 'iter_6.pth').exists():  # is being written: iter_4 is whole
        assert main.poll() is None and time.time() < deadline
        time.sleep(0.02)
    victim, = child_of(main.pid)
    os.kill(victim, signal.SIGKILL)
    out, _ = main.communicate(timeout=400)
    assert main.returncode == 1
    assert 'bilinear, seed 0: failed' in out and 'dysample, seed 0: done' in out
    assert '1 failed: bilinear, seed 0. The same command tries them again.' in out
    assert 'Iter(train)' in out.split('the end of')[1]
    rows = (folder / 'runs.jsonl').read_bytes()

    done = tool('compare.py', *call, cwd=scenes)
    assert 'bilinear, seed 0: done (2 of 2 runs done)' in done.stdout
    assert 'dysample, seed 0: ' not in done.stdout
    log = (first / 'log.txt').read_text()
    last, resumed = re.search(r'Advance dataloader (\d+) steps(.*)', log, re.DOTALL).groups()
    last = int(last)
    assert 4 <= last < 20
    iterations = [f'[{number:>2}/20]' in resumed for number in range(1, 21)]
    assert iterations == [False] * last + [True] * (20 - last)
    content = (folder / 'runs.jsonl').read_bytes()
    assert content.startswith(rows) and content.count(b'\n') == 2
    assert {json.loads(line)['upsampler'] for line in content.splitlines()} == {
        'bilinear', 'dysample'}
    for name in ('report.html', 'table.csv', 'cost.json', 'predictions/bilinear.npz'):
        assert (folder / name).is_file(), name

    done = tool('compare.py', *call, cwd=scenes)  # nothing is left but the report
    assert done.stdout.splitlines()[0] == '2 of 2 runs done' and ': done' not in done.stdout
