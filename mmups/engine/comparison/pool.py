"""Runs in processes of their own, several at a time, here or on a cluster."""
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

import torch

from .run import BUSY

#: Seconds between two looks at the processes.
PAUSE = 0.5
#: Lines of a log that are shown of a failed run.
LAST_LINES = 15
#: What submitit gives a job by itself is five minutes.
SUBMITTED = dict(name='mmups', timeout_min=24 * 60)
CLUSTERS = dict(local={}, slurm=dict(gpus_per_node=1))
#: Adds the output of a command to the file $0. Needs nothing of mmups where the job begins.
LOGGED = ('sh', '-c', 'exec "$@" >> "$0" 2>&1')


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
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with open(job.log, 'ab') as file:
            return subprocess.Popen(list(job.command), stdout=file, stderr=subprocess.STDOUT,
                                    stdin=subprocess.DEVNULL,
                                    env={**os.environ, **self.environment(slot)})

    def alone(self) -> 'LocalPool':
        """A place for a job that has the machine to itself."""
        return LocalPool(1)

    def environment(self, slot: int) -> dict[str, str]:
        """What a process of a place sees: one GPU, or its share of the cores, unless
        OMP_NUM_THREADS says another number."""
        if self.devices:
            return dict(CUDA_VISIBLE_DEVICES=self.devices[slot % len(self.devices)])
        threads = str(max(1, cores() // self.jobs))
        return dict(OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', threads))


class SubmititPool:
    """Jobs of submitit: of a Slurm cluster, or processes of this machine.

    Args:
        jobs: How many are submitted at a time.
        folder: For the files of submitit.
        cluster: A key of :data:`CLUSTERS`.
        options: Of submitit's ``update_parameters``; what is not given is as in
            :data:`SUBMITTED` and, with Slurm, one GPU.

    Raises:
        ValueError: submitit or the cluster is missing, or it does not know an option.
    """

    def __init__(self, jobs: int, folder: Path, cluster: str, options: Mapping[str, Any]):
        try:
            from submitit import AutoExecutor
        except ImportError:
            raise ValueError(f'--executor {cluster} needs submitit: pip install "mmups[compare]"'
                             ) from None
        self.jobs = jobs
        try:
            self._executor = AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**{**SUBMITTED, **CLUSTERS[cluster], **options})
        except (NameError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f'--executor {cluster}: {error}') from error

    def alone(self) -> 'SubmititPool':
        """Itself: a job that is submitted has what it asks for to itself."""
        return self

    def start(self, job: Job, slot: int) -> Process:
        """Submit a job."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        command = [*LOGGED, str(job.log), *job.command]
        return Submitted(self._executor.submit(subprocess.call, command), job.log)


class Submitted:
    """A job of submitit as a :class:`Process`.

    Args:
        job: Of submitit.
        log: Gets the reason of a failure that is none of the job's own process.
    """

    def __init__(self, job: Any, log: Path):
        self._job, self._log = job, log

    def poll(self) -> Optional[int]:
        """Its exit status; None: it has not ended."""
        if not self._job.done():
            return None
        try:
            return self._job.result()
        except Exception as error:  # of submitit or of the cluster: cancelled, out of time, ...
            with open(self._log, 'a', encoding='utf-8') as file:
                file.write(f'job {self._job.job_id}: {error}\n')
            return 1

    def terminate(self) -> None:
        """Cancel it."""
        self._job.cancel(check=False)


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    count = torch.cuda.device_count()
    return named.split(',')[:count] if named and count else list(map(str, range(count)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def work_off(jobs: Iterable[Job], pool: Any, tell: Callable[[Job, bool], None]) -> list[Job]:
    """Run jobs, as many at a time as the pool has places.

    A job that another process is at is left alone until that process has ended.

    Args:
        jobs: In this order.
        pool: :class:`LocalPool` or :class:`SubmititPool`.
        tell: Called with each job that has ended, and whether it is done.

    Returns:
        Those that failed. Whatever ends this function early ends the processes, too.
    """
    waiting, running, failed = deque(jobs), {}, []
    try:
        while waiting or running:
            for slot in [slot for slot in range(pool.jobs) if slot not in running]:
                job = _next(waiting, tell)
                if job is None:
                    break
                running[slot] = job, pool.start(job, slot)
            if waiting or running:
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
