"""Two processes, joined by gloo where there is no GPU, give what one process gives."""
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

import mmups.engine  # noqa: F401  allow-lists the training state

pytest.importorskip('mmseg')
pytestmark = pytest.mark.skipif(not torch.distributed.is_available()
                                or not torch.distributed.is_gloo_available(), reason='needs gloo')

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'
QUICK = ['--cfg-options', *(f'{part}_dataloader.{key}' for part in ('train', 'val', 'test')
                            for key in ('num_workers=0', 'persistent_workers=False'))]


def shell(script, *args, cwd, check=True):
    """Run a shell script of tools/ as a user would."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    done = subprocess.run(
        ['bash', ROOT / 'tools' / script, *map(str, args)], cwd=cwd, capture_output=True,
        text=True, timeout=500, env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT),
                                         PORT=str(port), PATH=path))
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done


def metrics(text):
    """Everything that an evaluation of mmseg prints: the last table and the averages."""
    *_, table = re.findall(r'(?:^[+|].*\n)+', text, re.M)
    *_, line = re.findall(r'aAcc: .*?mAcc: .*?mBIoU: .*?mIoU_interior: [\d.]+', text)
    return table, line


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Of the demo's model, untrained, as a wrapped model of long ago would have written it."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG)
    model = MODELS.build(cfg.model)
    model.init_weights()
    path = tmp_path_factory.mktemp('checkpoint') / 'model.pth'
    torch.save(dict(state_dict={f'module.{key}': value
                                for key, value in model.state_dict().items()}), path)
    return path


def test_evaluation(checkpoint, scenes, tool, tmp_path):
    """Each process sees half of the scenes; the numbers are those of all of them."""
    alone = tool('test.py', CONFIG, checkpoint, '--work-dir', tmp_path / '1', *QUICK, cwd=scenes)
    both = shell('dist_test.sh', CONFIG, checkpoint, 2, '--work-dir', tmp_path / '2', *QUICK,
                 cwd=scenes)
    assert 'Distributed training: True' in both.stdout and 'GPU number: 2' in both.stdout
    assert metrics(both.stdout) == metrics(alone.stdout)


@pytest.mark.slow
def test_scenes(checkpoint, scenes, tmp_path):
    """An odd number of scenes, in order, drawn once."""
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
                '--nproc_per_node=2', '--']
    for name, start, end in (('1', [sys.executable], []),
                             ('2', torchrun, ['--launcher', 'pytorch'])):
        done = subprocess.run(
            [*start, ROOT / 'tools/visualize.py', 'predictions', CONFIG, checkpoint, '--num', '3',
             '--work-dir', tmp_path, '--out', tmp_path / f'{name}.png', *QUICK, *end],
            cwd=scenes, check=True, capture_output=True, text=True,
            env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))
        assert done.stdout.count('3 scenes drawn in') == 1
    assert (tmp_path / '1.png').read_bytes() == (tmp_path / '2.png').read_bytes()


@pytest.mark.slow
def test_training(scenes, tool, tmp_path):
    """A checkpoint of two processes is one that each command reads, in one process or two."""
    options = [*QUICK, 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
               'param_scheduler.total_steps=2', 'default_hooks.checkpoint.interval=2',
               'train_dataloader.batch_size=2', 'model.decode_head.norm_cfg.type=SyncBN']
    shell('dist_train.sh', CONFIG, 2, '--seed', 1, '--work-dir', tmp_path, *options, cwd=scenes)
    path = tmp_path / 'iter_2.pth'
    alone = tool('test.py', CONFIG, path, '--work-dir', tmp_path / '1', *QUICK, cwd=scenes)
    both = shell('dist_test.sh', CONFIG, path, 2, '--work-dir', tmp_path / '2', *QUICK, cwd=scenes)
    assert metrics(both.stdout) == metrics(alone.stdout)
    resumed = shell('dist_train.sh', CONFIG, 2, '--resume', '--work-dir', tmp_path, *options,
                    'train_cfg.max_iters=3', cwd=scenes)
    assert f'Load checkpoint from {path}' in resumed.stdout


@pytest.mark.slow
def test_one_process(scenes, tmp_path):
    shell('dist_train.sh', CONFIG, 1, '--work-dir', tmp_path, *QUICK, 'train_cfg.max_iters=2',
          'train_cfg.val_interval=2', 'train_dataloader.batch_size=2', cwd=scenes)
    assert (tmp_path / 'iter_2.pth').exists()


@pytest.mark.slow
def test_sharded_training(scenes, tool, tmp_path):
    """FSDP through FlexibleRunner has the losses, the norms of gradients (which are clipped) and
    the checkpoints of plain training, and goes on from where it was stopped."""
    options = [*QUICK, 'train_cfg.max_iters=4', 'train_cfg.val_interval=4',
               'param_scheduler.total_steps=4', 'default_hooks.checkpoint.interval=2',
               'default_hooks.logger.interval=1', 'train_dataloader.batch_size=2',
               'model.decode_head.dropout_ratio=0', 'model.backbone.drop_path_rate=0']
    sharded = ['runner_type=FlexibleRunner', 'strategy.type=mmups.FSDPStrategy',
               'model.decode_head.norm_cfg.type=SyncBN']
    rows, states = {}, {}
    for name, more in (('plain', options), ('sharded', [*options, *sharded]),
                       ('resumed', [*options, *sharded])):
        start = ['--resume', tmp_path / 'sharded/iter_2.pth'] if name == 'resumed' else []
        shell('dist_train.sh', CONFIG, 2, '--seed', 1, '--work-dir', tmp_path / name, *start, *more,
              cwd=scenes)
        scalars, = (tmp_path / name).glob('*/vis_data/scalars.json')
        rows[name] = [(row['lr'], row['loss'], row['grad_norm'])
                      for row in map(json.loads, scalars.read_text().splitlines())
                      if 'loss' in row]
        states[name] = torch.load(tmp_path / name / 'iter_4.pth', weights_only=True)
    assert len(rows['plain']) == 4 and all(norm > 1 for *_, norm in rows['plain'])
    for row, expected in zip(rows['sharded'] + rows['resumed'], rows['plain'] + rows['plain'][2:]):
        assert row == pytest.approx(expected, rel=2e-3)
    for name in ('sharded', 'resumed'):
        assert states[name]['state_dict'].keys() == states['plain']['state_dict'].keys()
    torch.testing.assert_close(states['resumed']['state_dict'], states['sharded']['state_dict'])
    done = tool('test.py', CONFIG, tmp_path / 'sharded/iter_4.pth', '--work-dir', tmp_path, *QUICK,
                cwd=scenes)
    assert 'mIoU' in done.stdout


@pytest.mark.slow
def test_another_checkpoint_is_refused(scenes, tmp_path):
    torch.save(dict(state_dict={'weight': torch.zeros(2)}), tmp_path / 'other.pth')
    done = shell('dist_test.sh', CONFIG, tmp_path / 'other.pth', 2, '--work-dir', tmp_path,
                 *QUICK, cwd=scenes, check=False)
    assert done.returncode != 0
    assert f"test.py: {tmp_path}/other.pth is no checkpoint of this config's model" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason='with a GPU, the launchers are mmengine\'s')
@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_that_need_gpus(launcher, checkpoint, scenes, tool, tmp_path):
    done = tool('test.py', CONFIG, checkpoint, '--work-dir', tmp_path, '--launcher', launcher,
                cwd=scenes, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'test.py: --launcher {launcher} needs GPUs; ')


@pytest.mark.parametrize(('script', 'words'), [
    ('dist_train.sh', 'CONFIG GPUS'), ('dist_test.sh', 'CONFIG CHECKPOINT GPUS'),
    ('slurm_train.sh', 'PARTITION JOB_NAME CONFIG WORK_DIR'),
    ('slurm_test.sh', 'PARTITION JOB_NAME CONFIG CHECKPOINT')])
def test_usage(script, words, tmp_path):
    """Asked for, and where arguments lack, every number of them."""
    helped = shell(script, '--help', cwd=tmp_path)
    assert f'tools/{script} {words} [arguments of tools/' in helped.stdout
    for count in range(len(words.split())):
        done = shell(script, *'abc'[:count], cwd=tmp_path, check=False)
        assert done.returncode == 2 and done.stderr == helped.stdout


@pytest.mark.parametrize(('script', 'words', 'command'), [
    ('slurm_train.sh', ['a config.py', 'w'], ['train.py', 'a config.py', '--work-dir', 'w']),
    ('slurm_test.sh', ['a config.py', 'c.pth'], ['test.py', 'a config.py', 'c.pth'])])
def test_slurm(script, words, command, tmp_path, monkeypatch):
    """What srun gets, from the variables and the words, each still one word."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    for name, value in dict(GPUS=16, GPUS_PER_NODE=4, SRUN_ARGS='--quiet --exclusive').items():
        monkeypatch.setenv(name, str(value))
    got = shell(script, 'part', 'job', *words, '--seed', 1, cwd=tmp_path).stdout.splitlines()
    start = got.index('python')
    assert {'--job-name=job', '--gres=gpu:4', '--ntasks=16', '--ntasks-per-node=4', '--quiet',
            '--exclusive'} < set(got[:start]) and got[:2] == ['-p', 'part']
    ours = got[start + 1:]
    assert ours[0] == '-u' and ours[1] == str(ROOT / 'tools' / command[0])
    assert ours[2:] == [*command[1:], '--launcher', 'slurm', '--seed', '1']
