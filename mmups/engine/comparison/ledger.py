"""The finished runs of a comparison, one line each, and locks that end with their process."""
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NAME = 'runs.jsonl'


@contextmanager
def held(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock file. The system releases it when this process ends, however it ends.

    Args:
        path: Of the file; its folder is made.
        timeout: Seconds to wait for another process; -1: as long as it takes.

    Raises:
        filelock.Timeout: Another process held it all the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path, timeout=timeout):
        yield


def is_held(path: Path) -> bool:
    """Whether another process holds a lock at this moment."""
    if not path.parent.is_dir():
        return False
    try:
        with held(path, timeout=0):
            return False
    except Timeout:
        return True


def read(folder: Path) -> list[dict]:
    """The rows of finished runs; a last line that was cut off does not count."""
    path = folder / NAME
    if not path.is_file():
        return []
    return [json.loads(line) for line in _whole(path.read_bytes()).decode().splitlines()]


def append(folder: Path, row: dict) -> None:
    """Add a row, and drop a last line that was cut off."""
    with held(folder / f'{NAME}.lock'), open(folder / NAME, 'ab+') as file:
        file.seek(0)
        file.truncate(len(_whole(file.read())))
        file.write(json.dumps(row).encode() + b'\n')
        file.flush()
        os.fsync(file.fileno())


def finished(folder: Path) -> dict[tuple[str, int], dict]:
    """(upsampler, seed) -> row."""
    return {(row['upsampler'], row['seed']): row for row in read(folder)}


def _whole(content: bytes) -> bytes:
    return content[:content.rfind(b'\n') + 1]
