"""One run of a comparison: train, test, attack, and a line in the table of runs."""
import datetime
import json
import os
import time
from pathlib import Path
from typing import Optional

import torch
from filelock import Timeout
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

from mmups.analysis import machine

from ..checkpoint import check_weights
from ..cli import build_runner
from ..pairing import start_alike
from .ledger import append, finished, held
from .measures import split_classes
from .plan import Comparison, Run, write

#: Exit status of a run that another process is at: to be asked for again later.
BUSY = 75


def execute(folder: Path, upsampler: str, seed: int) -> int:
    """Do what is left of a run.

    Args:
        folder: Of the comparison.
        upsampler: Name of one of its upsamplers.
        seed: One of its seeds.

    Returns:
        0, or :data:`BUSY`.
    """
    comparison = Comparison.load(folder)
    run = comparison.run(upsampler, seed)
    try:
        with held(run.folder / 'lock', timeout=0):
            if run.key not in finished(comparison.folder):
                append(comparison.folder, measured(comparison, run))
    except Timeout:
        return BUSY
    return 0


def measured(comparison: Comparison, run: Run) -> dict:
    """The row of a run; what it did before it was interrupted is not done again."""
    if comparison.checkpoints is None:
        checkpoint, training = trained(comparison, run)
        name: Optional[str] = os.path.relpath(checkpoint, comparison.folder)
    else:
        checkpoint, training, name = comparison.checkpoints[run.upsampler], 0., None
    cfg = comparison.config_of(run)
    start = time.monotonic()
    metrics, classes = split_classes(tester(cfg, checkpoint).test(), cfg.test_evaluator)
    testing = time.monotonic() - start

    rows, start = [], time.monotonic()
    if comparison.robustness is not None:
        runner = tester(comparison.attacking(run), checkpoint)
        runner.test()
        rows = [dict(row, metrics=split_classes(row['metrics'], cfg.test_evaluator)[0])
                for row in runner.test_loop.rows]
    attacking = time.monotonic() - start
    return dict(
        upsampler=run.upsampler, seed=run.seed, metrics=metrics, classes=classes, robustness=rows,
        seconds=dict(train=training, test=testing, robustness=attacking),
        checkpoint=name, conditions=conditions())


def trained(comparison: Comparison, run: Run) -> tuple[str, float]:
    """The last checkpoint of a run, and the seconds of its training; trained first, or on from the
    last checkpoint, if need be."""
    done = run.folder / 'trained.json'
    if not done.is_file():
        cfg = comparison.config_of(run)
        latest = latest_checkpoint(run.folder)
        if latest:
            cfg.resume, cfg.load_from = True, latest
        runner = build_runner(named(cfg, 'train'))
        if latest:
            check_weights(runner.model, latest, exact=True)
        start_alike(runner, comparison.baseline_of(run), run.seed)
        watch = Stopwatch(bool(latest))
        runner.register_hook(watch, 'VERY_LOW')
        runner.train()
        checkpoint = latest_checkpoint(run.folder)
        if checkpoint is None:
            raise ValueError(f'training left no checkpoint in {run.folder}: the config needs '
                             'default_hooks.checkpoint with save_last=True')
        write(done, json.dumps(dict(checkpoint=Path(checkpoint).name, seconds=watch.seconds)))
    found = json.loads(done.read_text(encoding='utf-8'))
    return str(run.folder / found['checkpoint']), found['seconds']


def latest_checkpoint(folder: Path) -> Optional[str]:
    """The newest whole checkpoint of a training; None: there is none.

    mmengine's ``last_checkpoint`` does not always say it: a process that is killed while it writes
    a checkpoint, or that file, leaves half of it.
    """
    paths = [path for path in folder.glob('*.pth') if not path.name.startswith('best_')]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            state = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
        except Exception:  # PyTorch has many words for a file that was cut off
            continue
        if 'optimizer' in state:
            return str(path)
    return None


class Stopwatch(Hook):
    """Seconds of training, kept in its checkpoints: those after the last checkpoint of a process
    that was killed are no part of what was trained.

    Args:
        resumed: Whether the checkpoint that is loaded is one of the same training.
    """

    def __init__(self, resumed: bool):
        self.resumed, self.before, self.start = resumed, 0., time.monotonic()

    @property
    def seconds(self) -> float:
        """Up to now."""
        return self.before + time.monotonic() - self.start

    def before_train(self, runner: Runner) -> None:
        self.start = time.monotonic()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.resumed:
            self.before = checkpoint['meta'].get('seconds', 0.)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['meta']['seconds'] = self.seconds


def tester(cfg: Config, checkpoint: str) -> Runner:
    """A runner whose model has the weights of a checkpoint."""
    cfg.load_from, cfg.resume = checkpoint, False
    runner = build_runner(named(cfg, 'test'))
    check_weights(runner.model, checkpoint)
    return runner


def named(cfg: Config, stage: str) -> Config:
    """A config for one of several runners of a process, which mmengine tells apart by name."""
    cfg.experiment_name = f'{Path(cfg.work_dir).name}_{stage}_{time.time_ns()}'
    return cfg


def conditions() -> dict:
    """Under which a run was measured."""
    about = machine(torch.device('cuda' if torch.cuda.is_available() else 'cpu'),
                    torch.get_num_threads())
    return dict(torch=about['torch'], mmups=about['mmups'], code=about['code'],
                device=about['device_name'], threads=about['threads'],
                date=datetime.date.today().isoformat())
