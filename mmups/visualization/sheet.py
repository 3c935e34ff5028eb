"""A sheet of scenes: image, ground truth and prediction side by side."""
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .figures import save

IGNORED = (255, 255, 255)


def colour(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Label map (H, W) to an RGB picture (H, W, 3); labels without a colour become white."""
    table = np.array([*palette, IGNORED], dtype=np.uint8)
    return table[np.where(labels < len(palette), labels, len(palette))]


def class_legend(figure: Figure, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]) -> None:
    """The colours of classes, beneath everything."""
    patches = [Patch(facecolor=np.array(rgb) / 255, edgecolor='black', label=name)
               for name, rgb in zip(classes, palette)]
    figure.legend(handles=patches, loc='outside lower center', ncols=min(len(patches), 10),
                  frameon=False)


def draw_sheet(scenes: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
               classes: Sequence[str], palette: Sequence[Sequence[int]],
               out: Union[str, Path]) -> Path:
    """Write a picture with two scenes a row, each as image, ground truth and prediction.

    Args:
        scenes: RGB image (H, W, 3) uint8, true labels (H, W) and predicted labels (H, W) each.
        classes: Names, for the legend.
        palette: RGB colour of each class, 0 to 255.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: There is no scene.
    """
    scenes = list(scenes)
    if not scenes:
        raise ValueError('a sheet needs at least one scene, got none')
    titles = ('image', 'ground truth', 'prediction')
    rows = (len(scenes) + 1) // 2
    figure = Figure(figsize=(13, 2.15 * rows + 0.7), layout='constrained')
    axes = figure.subplots(rows, 7, squeeze=False,
                           gridspec_kw=dict(width_ratios=(1, 1, 1, 0.08, 1, 1, 1)))
    for axis in axes.flat:
        axis.axis('off')
    for index, (image, truth, prediction) in enumerate(scenes):
        row, first = divmod(index, 2)
        pictures = (image, colour(truth, palette), colour(prediction, palette))
        for column, (picture, title) in enumerate(zip(pictures, titles), start=4 * first):
            axes[row, column].imshow(picture, interpolation='nearest')
            if row == 0:
                axes[row, column].set_title(title)
    class_legend(figure, classes, palette)
    return save(figure, out)
