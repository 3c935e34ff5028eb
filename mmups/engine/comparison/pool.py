"""Runs in processes of their own, several at a time."""
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

import torch

from .run import BUSY

#: Seconds between two looks at the processes.
PAUSE = 0.5
#: Lines of a log that are shown of a failed run.
LAST_LINES = 15


@dataclass(frozen=True)
class Job:
    """A process to be run.

    Attributes:
        name: For people.
        command: Its command line.
        log: File to which all its output is added.
        done: Whether its work is done already, by whomever.
        busy: Whether another process is at it.
    """
    name: str
    command: Sequence[str]
    log: Path
    done: Callable[[], bool] = lambda: False
    busy: Callable[[], bool] = lambda: False


class Process(Protocol):
    """A job that has been started."""

    def poll(self) -> Optional[int]:
        """Its exit status; None: it has not ended."""

    def terminate(self) -> None:
        """End it."""


def run_command(command: Sequence[str], log: str, env: Mapping[str, str]) -> subprocess.Popen:
    """Start a command whose output is added to a file."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as file:
        return subprocess.Popen(list(command), stdout=file, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, env={**os.environ, **env})


class LocalPool:
    """Processes of this machine, among which its devices are shared out.

    Args:
        jobs: How many there are at a time.
    """

    def __init__(self, jobs: int):
        self.jobs = jobs
        self.devices = visible_devices()

    def start(self, job: Job, slot: int) -> Process:
        """Start a job in one of the places 0 .. jobs - 1."""
        return run_command(job.command, str(job.log), self.environment(slot))

    def environment(self, slot: int) -> dict[str, str]:
        """What a process of a place sees: one GPU, or its share of the processor's cores."""
        if self.devices:
            return dict(CUDA_VISIBLE_DEVICES=self.devices[slot % len(self.devices)])
        threads = str(max(1, cores() // self.jobs))
        return dict(OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', threads))


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    count = torch.cuda.device_count()
    return named.split(',')[:count] if named and count else list(map(str, range(count)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def work_off(jobs: Iterable[Job], pool: LocalPool, tell: Callable[[Job, bool], None]) -> list[Job]:
    """Run jobs, as many at a time as the pool has places.

    A job that another process is at is left alone until that process has ended.

    Args:
        jobs: In this order.
        pool: Where.
        tell: Called with each job that has ended, and whether it is done.

    Returns:
        Those that failed.
    """
    waiting, running, failed = deque(jobs), {}, []
    try:
        while waiting or running:
            for slot in [slot for slot in range(pool.jobs) if slot not in running]:
                job = _next(waiting, tell)
                if job is None:
                    break
                running[slot] = job, pool.start(job, slot)
            time.sleep(PAUSE)
            for slot, (job, process) in list(running.items()):
                status = process.poll()
                if status is None:
                    continue
                del running[slot]
                if status == BUSY:
                    waiting.append(job)
                    continue
                if status:
                    failed.append(job)
                tell(job, not status)
    finally:
        for _, process in running.values():
            process.terminate()
    return failed


def _next(waiting: deque, tell: Callable[[Job, bool], None]) -> Optional[Job]:
    """The first job that can be started."""
    for job in list(waiting):
        if job.done():
            waiting.remove(job)
            tell(job, True)
        elif not job.busy():
            waiting.remove(job)
            return job
    return None


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The end of a log."""
    if not log.is_file():
        return ''
    return '\n'.join(log.read_text(encoding='utf-8', errors='replace').splitlines()[-count:])
