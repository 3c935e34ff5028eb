"""A whole comparison: its runs, then pictures and costs."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from .cost import is_measured
from .ledger import finished, is_held
from .pictures import undrawn
from .plan import Comparison, Run
from .pool import Job, work_off


@dataclass(frozen=True)
class State:
    """How far a comparison is.

    Attributes:
        total: Runs of the command.
        done: Those that are finished.
        failed: Those that failed in this command.
        left: Seconds until the others are finished, judged by those that are; None: none is, or
            all are.
    """
    total: int
    done: int
    failed: int = 0
    left: Optional[float] = None

    def __str__(self) -> str:
        failed = f', {self.failed} failed' if self.failed else ''
        left = '' if self.left is None else f', about {duration(self.left)} left'
        return f'{self.done} of {self.total} runs done{failed}{left}'


def carry_out(comparison: Comparison, pool: Any, command: Sequence[str],
              tell: Callable[[str, State], None]) -> list[Job]:
    """Do the runs that are not finished, then draw and measure the costs.

    Args:
        comparison: Settled in its folder.
        pool: Of :mod:`mmups.engine.comparison.pool`.
        command: How ``tools/compare.py`` is called.
        tell: Called with what has happened, and the state.

    Returns:
        The jobs that failed.
    """
    folder = comparison.folder.absolute()
    state = state_of(comparison, pool.jobs)
    tell('', state)

    def ended(job: Job, success: bool) -> None:
        nonlocal state
        failed = state.failed + (not success)
        state = replace(state_of(comparison, pool.jobs, failed), failed=failed)
        tell(f'{job.name}: {"done" if success else "failed"}', state)

    def job_of(run: Run) -> Job:
        return Job(str(run), [*command, 'run', str(folder), run.upsampler, str(run.seed)],
                   run.folder / 'log.txt', lambda: run.key in finished(folder),
                   lambda: is_held(run.folder / 'lock'))

    def part(name: str, done: Callable[[], bool], place: Path) -> Job:
        return Job(name, [*command, name, str(folder)], place / 'log.txt', done,
                   lambda: is_held(place / 'lock'))

    done = finished(folder)
    failed = work_off([job_of(run) for run in comparison.runs if run.key not in done], pool, ended)
    whole = Comparison.load(folder)  # with what other commands have added
    parts = [part('pictures', lambda: not undrawn(whole), folder / 'predictions'),
             part('cost', lambda: is_measured(folder, whole.upsamplers), folder / 'cost')]
    return failed + work_off(
        [job for job in parts if not job.done()], pool.alone(), lambda job, success: tell(
            f'{job.name}: {"done" if success else "failed"}', state))


def state_of(comparison: Comparison, jobs: int, failed: int = 0) -> State:
    """How far a comparison is, and how long it takes with so many runs at a time."""
    rows = finished(comparison.folder)
    done = [rows[run.key] for run in comparison.runs if run.key in rows]
    todo = len(comparison.runs) - len(done) - failed
    left = None
    if done and todo:
        each = sum(sum(row['seconds'].values()) for row in done) / len(done)
        left = each * -(-todo // jobs)
    return State(len(comparison.runs), len(done), left=left)


def duration(seconds: float) -> str:
    """Hours and minutes.

    >>> duration(4000), duration(61)
    ('1 h 7 min', '2 min')
    """
    minutes = -(-int(seconds) // 60)
    return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min'
