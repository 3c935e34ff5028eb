"""Data sets that are made here: folders that are complete or absent, and never changed."""
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Union

import cv2
import numpy as np

ADVICE = 'choose another folder or delete this one'


def write_whole(out: Union[str, Path], manifest: dict, files: Sequence[str],
                write: Callable[[Path], None]) -> bool:
    """Have a data set written, unless it is there.

    Args:
        out: Folder to make. The work is done in ``<out>.partial``.
        manifest: What was asked for, with the ``name`` of the data set; kept as manifest.json.
        files: What the data set has to hold, as paths within it.
        write: Writes these into a folder, which it has to make.

    Returns:
        True where it was written, False where ``out`` holds exactly this data set already.

    Raises:
        FileExistsError: ``out`` holds something else.
    """
    out = Path(out)
    if _exists(out, manifest, files):
        return False
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        write(partial)
        (partial / 'manifest.json').write_text(json.dumps(manifest, indent=1) + '\n')
        if out.exists():
            out.rmdir()  # empty, as _exists found
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return True


def _exists(out: Path, manifest: dict, files: Sequence[str]) -> bool:
    """Whether ``out`` holds this data set, complete."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / 'manifest.json').read_bytes())
    except (OSError, ValueError) as error:
        raise FileExistsError(f'{out} exists and is not a {manifest["name"]} data set (no readable '
                              f'manifest.json); {ADVICE}') from error
    if found != manifest:
        raise FileExistsError(f'{out} holds another data set, made with {json.dumps(found)}; this '
                              f'call asks for {json.dumps(manifest)}; {ADVICE}')
    missing = [name for name in files if not (out / name).is_file()]
    if missing:
        raise FileExistsError(f'{len(missing)} of the {len(files)} files of {out} are missing, '
                              f'e.g. {missing[0]}; {ADVICE}')
    return True


def check_counts(**counts: tuple) -> dict:
    """Numbers as plain integers.

    Args:
        counts: Name -> the number and the least that it may be.

    Raises:
        ValueError: One is no integer, or less.
    """
    for name, (value, least) in counts.items():
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f'{name} must be an integer of {least} or more, got {name}={value!r}')
    return {name: int(value) for name, (value, _) in counts.items()}


def file_name(number: int) -> str:
    """Of the picture with this number."""
    return f'{number:06d}.png'


def write_png(path: Path, array: np.ndarray) -> None:
    """Write (H, W) or RGB (H, W, 3); an OSError, unlike cv2.imwrite's silence, where it fails."""
    if array.ndim == 3:
        array = array[..., ::-1]
    path.write_bytes(cv2.imencode('.png', array)[1].tobytes())
