"""Predictions of the models of a comparison on the same images."""
import colorsys
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from mmengine.runner import Runner

from ..predict import predict_scenes
from .ledger import finished, held
from .plan import Comparison, Run, write
from .run import tester

#: Of the test set, from the first on.
IMAGES = 24


def undrawn(comparison: Comparison) -> list[tuple[Run, str]]:
    """Runs of the first seed whose predictions are not saved, with their checkpoints.

    Without those that are not finished, or have lost their weights; none where the task's
    predictions cannot be drawn.
    """
    folder, rows, found = comparison.folder / 'predictions', finished(comparison.folder), []
    if (folder / 'none.txt').is_file():
        return []
    for name in comparison.upsamplers:
        run = comparison.run(name, comparison.seeds[0])
        if run.key in rows and not (folder / f'{name}.npz').is_file():
            own = rows[run.key]['checkpoint']
            checkpoint = str(comparison.folder / own) if own else comparison.checkpoints[name]
            if Path(checkpoint).is_file():
                found.append((run, checkpoint))
    return found


def draw(folder: Path) -> None:
    """Save the predictions that are missing in ``predictions/``."""
    comparison = Comparison.load(folder)
    place = comparison.folder / 'predictions'
    with held(place / 'lock'):
        for run, checkpoint in undrawn(comparison):
            runner = tester(comparison.config_of(run), checkpoint)
            try:
                save_predictions(runner, place, run.upsampler)
            except ValueError as error:  # no classes, for instance: measured, and not drawn
                write(place / 'none.txt', f'{error}\n')
                break


def save_predictions(runner: Runner, folder: Path, upsampler: str) -> None:
    """Write ``<upsampler>.npz`` with ``prediction_000``, ..., and once for all upsamplers
    ``truth.npz`` with ``image_000``, ..., ``truth_000``, ... and ``meta.json`` with the kind of
    predictions and, if they are labels, classes and palette.

    Args:
        runner: With ``load_from`` set.
        folder: Where.
        upsampler: Name of the file.

    Raises:
        ValueError: As in :func:`mmups.engine.predict.predict_scenes`.
    """
    scenes, meta = predict_scenes(runner, IMAGES)
    folder.mkdir(parents=True, exist_ok=True)
    images, truths, predictions = zip(*scenes)
    known = {**_numbered('image', images), **_numbered('truth', truths)}
    if not (folder / 'truth.npz').is_file():
        _savez(folder / 'truth.npz', known)
        write(folder / 'meta.json', json.dumps(_plain(**meta)))
    _savez(folder / f'{upsampler}.npz', _numbered('prediction', predictions))


def _numbered(name: str, arrays: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    return {f'{name}_{index:03d}': array for index, array in enumerate(arrays)}


def _savez(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file that is whole at any moment."""
    part = path.with_name(f'.{path.stem}.{os.getpid()}.npz')
    np.savez_compressed(part, **arrays)
    part.replace(path)


def _plain(kind: str, classes: Sequence[str] = (),
           palette: Optional[Sequence[Sequence[int]]] = None) -> dict:
    if not classes:
        return dict(kind=kind)
    palette = palette or _colours(len(classes))
    return dict(kind=kind, classes=list(classes),
                palette=[list(map(int, colour)) for colour in palette])


def _colours(count: int) -> list[list[int]]:
    """Of a data set that has none."""
    return [[round(255 * value) for value in colorsys.hsv_to_rgb(index / count, 0.75, 0.95)]
            for index in range(count)]
