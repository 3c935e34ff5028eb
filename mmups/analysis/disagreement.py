"""Where predictions of several models differ most."""
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import numpy as np

from .pixels import PIXELS


@dataclass(frozen=True)
class Scene:
    """An image and what models made of it.

    Attributes:
        index: Of the image in the test set.
        image: (H, W, 3) uint8.
        kind: Of the predictions, a key of :data:`mmups.analysis.pixels.PIXELS`.
        truth: (H, W) labels or depths, or (H, W, 3) uint8.
        predictions: Upsampler -> such an array.
        disagreement: (H, W) of 0 and more, that of the kind.
        window: Where it is largest: top, left and the length of a side.
    """
    index: int
    image: np.ndarray
    kind: str
    truth: np.ndarray
    predictions: dict[str, np.ndarray]
    disagreement: np.ndarray
    window: tuple[int, int, int]

    @property
    def inside(self) -> tuple[slice, slice]:
        """The window, as an index of (H, W)."""
        top, left, side = self.window
        return slice(top, top + side), slice(left, left + side)


def largest_window(values: np.ndarray, side: int) -> tuple[int, int]:
    """Top and left of the square window with the largest sum of a map (H, W); the first of them."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(np.argmax(windows.round(6)), windows.shape)
    return int(top), int(left)


def choose_scenes(folder: Union[str, Path], upsamplers: Sequence[str], kind: str = 'labels',
                  count: int = 4) -> list[Scene]:
    """The images in which upsamplers differ most within a window, a third as long as the shorter
    side of the image.

    Args:
        folder: With ``truth.npz`` (``image_000``, ``truth_000``, ...) and, for each upsampler,
            ``<upsampler>.npz`` (``prediction_000``, ...).
        upsamplers: Their names; those without a file are left out.
        kind: Of the predictions, a key of :data:`mmups.analysis.pixels.PIXELS`.
        count: At most so many images.

    Returns:
        From the largest disagreement on; none where fewer than two upsamplers have a file, or all
        agree.
    """
    folder = Path(folder)
    paths = {name: folder / f'{name}.npz' for name in upsamplers}
    paths = {name: path for name, path in paths.items() if path.is_file()}
    if len(paths) < 2 or not (folder / 'truth.npz').is_file():
        return []
    with ExitStack() as stack:
        files = {name: stack.enter_context(np.load(path)) for name, path in paths.items()}
        known = stack.enter_context(np.load(folder / 'truth.npz'))
        scenes: list[Scene] = []
        for key in known.files:
            if key.startswith('truth_'):
                scenes.append(_scene(key[len('truth_'):], kind, known, files))
                scenes.sort(key=lambda scene: -scene.disagreement[scene.inside].mean())
                del scenes[count:]
    return [scene for scene in scenes if scene.disagreement.any()]


def _scene(number: str, kind: str, known: Mapping, files: Mapping[str, Mapping]) -> Scene:
    truth = known[f'truth_{number}']
    predictions = {name: file[f'prediction_{number}'] for name, file in files.items()}
    differing = PIXELS[kind].disagreement(list(predictions.values()), truth)
    side = max(1, min(differing.shape) // 3)
    return Scene(int(number), known[f'image_{number}'], kind, truth, predictions, differing,
                 (*largest_window(differing, side), side))
