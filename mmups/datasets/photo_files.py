"""PhotoNoise and PhotoBlur on disk, in GoPro's layout.

::

    manifest.json                       what was asked for: name, counts, seed
    {train,test}/noisy/000000.png       degraded, RGB; in PhotoBlur the folder is blur
    {train,test}/sharp/000000.png       its truth
"""
from collections.abc import Iterable
from pathlib import Path
from typing import Callable, NamedTuple, Union

import numpy as np

from .photos import SPLITS, blur_pair, load_photos, noise_pair
from .whole_folder import check_counts, file_name, write_png, write_whole

VERSION = 1  # of the pixels: a later one is another data set


class Task(NamedTuple):
    """A data set: its name, the folder of its degraded images, and what makes a pair."""
    name: str
    folder: str
    pair: Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


TASKS = {'noise': Task('PhotoNoise', 'noisy', noise_pair),
         'blur': Task('PhotoBlur', 'blur', blur_pair)}


def write_photos(task: str, out: Union[str, Path], train: int = 240, test: int = 25, seed: int = 0,
                 progress: Callable[[list], Iterable] = iter) -> bool:
    """Make a data set and write it; what is there already stays as it is.

    The photographs take turns. A pair depends on the seed, its split and its number only: not on
    the counts. Files are the same to the byte while numpy, OpenCV and the photographs are.

    Args:
        task: 'noise' or 'blur'.
        out: Folder to make. The work is done in ``<out>.partial``, so that ``out`` is complete or
            absent.
        train: Number of training pairs.
        test: Number of test pairs.
        seed: Not negative.
        progress: Wraps the list of (split, number) that is gone through, as tqdm does.

    Returns:
        True where it was written, False where ``out`` holds exactly this data set already.

    Raises:
        ValueError: An argument is out of its range.
        FileExistsError: ``out`` holds something else.
        ImportError: The packages that carry the photographs are not installed.
    """
    if task not in TASKS:
        raise ValueError(f'task must be one of {tuple(TASKS)}, got task={task!r}')
    name, degraded, pair = TASKS[task]
    counts = check_counts(train=(train, 1), test=(test, 1), seed=(seed, 0))
    numbers = [(split, k) for split in SPLITS for k in range(counts[split])]
    folders = degraded, 'sharp'

    def write(root: Path) -> None:
        photos = {split: load_photos(split) for split in SPLITS}
        for split in SPLITS:
            for folder in folders:
                (root / split / folder).mkdir(parents=True)
        for split, k in progress(numbers):
            rng = np.random.default_rng([seed, SPLITS.index(split), k])
            images = pair(photos[split][k % len(photos[split])], rng)
            for folder, image in zip(folders, images):
                write_png(root / split / folder / file_name(k), image)

    return write_whole(out, dict(name=name, version=VERSION, **counts),
                       [f'{split}/{folder}/{file_name(k)}' for split, k in numbers
                        for folder in folders], write)
