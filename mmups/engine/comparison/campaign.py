"""A whole comparison: its runs one after the other, or several at a time."""
from collections.abc import Callable, Sequence

from .check import checked
from .ledger import finished, is_held
from .plan import Comparison, Run
from .pool import Job, LocalPool, last_lines, work_off

__all__ = ['carry_out', 'checked', 'finished', 'jobs_of', 'last_lines']


def jobs_of(comparison: Comparison, command: Sequence[str]) -> list[Job]:
    """A process for each run that is not finished.

    Args:
        comparison: Settled in its folder.
        command: How ``tools/compare.py`` is called.
    """
    done = finished(comparison.folder)
    return [_job(comparison, run, command) for run in comparison.runs if run.key not in done]


def _job(comparison: Comparison, run: Run, command: Sequence[str]) -> Job:
    return Job(str(run), [*command, 'run', str(comparison.folder), run.upsampler, str(run.seed)],
               run.folder / 'log.txt', lambda: run.key in finished(comparison.folder),
               lambda: is_held(run.folder / 'lock'))


def carry_out(comparison: Comparison, command: Sequence[str], jobs: int,
              say: Callable[[str], None]) -> list[Job]:
    """Do the runs that are not finished.

    Returns:
        Those that failed.
    """
    todo = jobs_of(comparison, command)
    count = len(comparison.runs)
    done = count - len(todo)
    say(f'{done} of {count} runs are finished')

    def tell(job: Job, success: bool) -> None:
        nonlocal done
        done += success
        say(f'{job.name}: {"done" if success else "failed"} ({done} of {count})')

    return work_off(todo, LocalPool(jobs), tell)
