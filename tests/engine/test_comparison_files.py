"""The files of a comparison: what it compares, its finished runs, its locks; and its processes."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('mmseg')

from comparison_cases import comparison_in, tiny  # noqa: E402

from mmups.engine.comparison.check import Problems  # noqa: E402
from mmups.engine.comparison.ledger import append, finished, held, is_held, read  # noqa: E402
from mmups.engine.comparison.plan import Comparison  # noqa: E402
from mmups.engine.comparison.pool import (  # noqa: E402
    Job,
    LocalPool,
    SubmititPool,
    last_lines,
    work_off,
)
from mmups.engine.comparison.run import BUSY  # noqa: E402


@pytest.mark.parametrize('torn', [b'', b'{"upsampler": "c", "se', b'{"upsampler": "c", "seed": 2}'])
def test_a_line_that_was_cut_off(torn, tmp_path):
    """It does not count, and the next row takes its place."""
    rows = [dict(upsampler=name, seed=seed) for name, seed in (('a', 0), ('b', 1), ('c', 2))]
    for row in rows[:2]:
        append(tmp_path, row)
    with open(tmp_path / 'runs.jsonl', 'ab') as file:
        file.write(torn)
    assert read(tmp_path) == rows[:2]
    append(tmp_path, rows[2])
    lines = (tmp_path / 'runs.jsonl').read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert finished(tmp_path)['b', 1] == rows[1] and read(tmp_path / 'nowhere') == []


HOLD = '''
import sys, time
from pathlib import Path
from mmups.engine.comparison.ledger import held
with held(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(60)
'''


def test_a_lock_ends_with_its_process(tmp_path):
    lock = tmp_path / 'run/lock'
    assert not is_held(lock)
    process = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', HOLD, str(lock)],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'held\n'
    assert is_held(lock)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_held(lock)
    with held(lock, timeout=0):
        pass


def test_settled_and_loaded(scenes, tmp_path, monkeypatch):
    """Runs are made from what stands in the folder, whatever becomes of the config."""
    monkeypatch.chdir(scenes)
    robustness = dict(attacks=['pgd'], eps=[1.], steps=[2], images=None)
    comparison = comparison_in(tmp_path / 'out', seeds=(0, 1), robustness=robustness)
    comparison.settle()
    again = Comparison.load(tmp_path / 'out')
    assert again.about == comparison.about
    assert [run.key for run in again.runs] == [
        ('bilinear', 0), ('dysample', 0), ('bilinear', 1), ('dysample', 1)]
    for run in again.runs:
        cfg, own = again.config_of(run), comparison.config_of(run)
        assert cfg.to_dict() == own.to_dict()
        assert cfg.randomness.seed == run.seed and cfg.work_dir == str(run.folder)
        assert type(cfg.train_dataloader.dataset.pipeline[2]['scale']) is tuple  # json has lists
    about = json.loads((tmp_path / 'out/comparison.json').read_text())
    assert about['baseline'] == 'bilinear' and about['robustness'] == robustness
    assert about['upsamplers']['dysample']['type'] == 'DySample'
    assert about['sites'] == again.sites and 'work_dir' not in about['cfg']
    with pytest.raises(KeyError, match='carafe with seed 0 is no run of'):
        again.run('carafe', 0)
    with pytest.raises(FileNotFoundError, match='no comparison in'):
        Comparison.load(tmp_path)


def test_more_is_added(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(scenes)
    comparison_in(tmp_path, ('bilinear', 'dysample'), (0, 1)).settle()
    comparison_in(tmp_path, ('bilinear', 'carafe'), (2, )).settle()
    whole = Comparison.load(tmp_path)
    assert list(whole.upsamplers) == ['bilinear', 'dysample', 'carafe']
    assert whole.seeds == [0, 1, 2]


WIDE = ('wide', 'dysample', {'model.decode_head.channels': 16})


def test_variants_are_settled(scenes, tmp_path, monkeypatch):
    """And added, as upsamplers are; other settings under the same name are refused."""
    monkeypatch.chdir(scenes)
    comparison_in(tmp_path, ('stock', 'dysample')).settle()
    before = (tmp_path / 'comparison.json').read_bytes()
    comparison_in(tmp_path, ('stock', ), variants=[WIDE]).settle()
    whole = Comparison.load(tmp_path)
    assert list(whole.upsamplers) == ['stock', 'dysample', 'wide']
    assert list(whole.settings) == ['wide']
    heads = {run.upsampler: whole.config_of(run).model.decode_head for run in whole.runs}
    stock = tiny().model.decode_head
    assert heads['stock'] == stock and stock.channels == 8
    assert (heads['dysample'].channels, heads['wide'].channels) == (8, 16)
    assert whole.baseline_of(whole.run('wide', 0)).model.decode_head.channels == 8
    backbones = {run.upsampler: whole.config_of(run).model.backbone for run in whole.runs}
    assert backbones['wide'] == backbones['dysample'] != backbones['stock'] == tiny().model.backbone
    for name, upsampler, settings in (WIDE[:2] + ({'model.decode_head.channels': 4}, ),
                                      ('dysample', 'dysample', WIDE[2])):
        with pytest.raises(Problems, match=f'settings.{name}.*there, .*now'):
            comparison_in(tmp_path, ('stock', ), variants=[(name, upsampler, settings)])
    (tmp_path / 'comparison.json').write_bytes(before.replace(b',\n "settings": {}', b''))
    assert b'settings' not in (tmp_path / 'comparison.json').read_bytes()  # as it was once written
    assert Comparison.load(tmp_path).settings == {}
    comparison_in(tmp_path, ('stock', ), variants=[WIDE]).settle()
    assert list(Comparison.load(tmp_path).settings) == ['wide']


@pytest.mark.parametrize(('names', 'options', 'robustness', 'message'), [
    (('dysample', 'bilinear'), {}, None, 'baseline: "bilinear" there, "dysample" now'),
    (('bilinear', ), {'train_cfg.max_iters': 5}, None, 'cfg.train_cfg.max_iters: 4 there, 5 now'),
    (('bilinear', ), {}, dict(attacks=['pgd'], eps=[1.], steps=[2]), 'robustness: null there'),
], ids=['baseline', 'config', 'robustness'])
def test_another_comparison_is_refused(names, options, robustness, message, scenes, tmp_path,
                                       monkeypatch):
    monkeypatch.chdir(scenes)
    comparison_in(tmp_path).settle()
    before = (tmp_path / 'comparison.json').read_bytes()
    with pytest.raises(Problems, match='holds another comparison') as raised:
        comparison_in(tmp_path, names, cfg=tiny(**options), robustness=robustness)
    assert message in str(raised.value) and str(raised.value).count(' there, ') == 1
    assert (tmp_path / 'comparison.json').read_bytes() == before


def job(folder, name, code, **more):
    return Job(name, [sys.executable, '-c', code], folder / f'{name}/log.txt', **more)


@pytest.mark.parametrize('kind', ['local', 'submitit'])
def test_jobs(kind, tmp_path):
    """One that works, one that fails, one that another process has done; output in the logs."""
    pool = LocalPool(2)
    if kind == 'submitit':
        pytest.importorskip('submitit')
        pool = SubmititPool(2, tmp_path / 'submitit', 'local', {})
    told = []
    jobs = [job(tmp_path, 'good', 'print("fine")'),
            job(tmp_path, 'bad', 'import sys; print("a"); print("b"); sys.exit("wrong")'),
            job(tmp_path, 'elsewhere', 'raise SystemExit(1)', done=lambda: True)]
    failed = work_off(jobs, pool, lambda job, success: told.append((job.name, success)))
    assert [job.name for job in failed] == ['bad']
    assert sorted(told) == [('bad', False), ('elsewhere', True), ('good', True)]
    assert last_lines(jobs[0].log) == 'fine'
    assert last_lines(jobs[1].log, 2) == 'b\nwrong'
    assert not jobs[2].log.exists() and last_lines(jobs[2].log) == ''


def test_what_another_process_is_at_comes_later(tmp_path):
    """A job that finds its lock taken is asked again; one whose lock is known to be taken waits."""
    mark, looks, told = tmp_path / 'mark', [], []

    def busy():
        looks.append(None)
        return len(looks) < 3
    code = (f'import os, sys\nif os.path.exists({str(mark)!r}): sys.exit()\n'
            f'open({str(mark)!r}, "w").close()\nsys.exit({BUSY})')
    jobs = [job(tmp_path, 'taken', code), job(tmp_path, 'waits', '', busy=busy)]
    assert work_off(jobs, LocalPool(1), lambda job, success: told.append((job.name, success))) == []
    assert sorted(told) == [('taken', True), ('waits', True)] and len(looks) >= 3


def test_an_interruption_ends_what_was_started(tmp_path):
    endless = job(tmp_path, 'endless', 'import os, time\nprint(os.getpid(), flush=True)\n'
                  'time.sleep(60)')

    def interrupt(job, success):
        raise KeyboardInterrupt
    quick = job(tmp_path, 'quick', 'import time; time.sleep(2)')
    with pytest.raises(KeyboardInterrupt):
        work_off([endless, quick], LocalPool(2), interrupt)
    pid = int(last_lines(endless.log))
    deadline = time.time() + 20
    while time.time() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:  # subprocess has seen its end
            return
        time.sleep(0.1)
    raise AssertionError('the process goes on')


def test_devices_are_shared_out(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr('mmups.engine.comparison.pool.cores', lambda: 7)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    assert LocalPool(3).environment(2) == dict(OMP_NUM_THREADS='2')
    assert LocalPool(8).environment(0) == dict(OMP_NUM_THREADS='1')
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    assert [LocalPool(3).environment(slot) for slot in range(3)] == [
        dict(CUDA_VISIBLE_DEVICES=device) for device in '010']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '5,7')
    assert [LocalPool(2).environment(slot)['CUDA_VISIBLE_DEVICES'] for slot in range(2)] == [
        '5', '7']


def test_options_of_submitit(tmp_path):
    pytest.importorskip('submitit')
    with pytest.raises(ValueError, match='--executor local: .*gpus'):
        SubmititPool(1, tmp_path, 'local', dict(gpus='4'))
    with pytest.raises(ValueError, match='--executor slurm: '):  # no sbatch here
        SubmititPool(1, tmp_path, 'slurm', {})


def test_without_submitit(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(ValueError, match=r'pip install "mmups\[compare\]"'):
        SubmititPool(1, tmp_path, 'slurm', {})
