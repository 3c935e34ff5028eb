"""The weights with which upsamplers sum."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np
from matplotlib.figure import Figure

from .figures import canvas, colour_bar, save


@dataclass
class KernelRow:
    """One upsampling step.

    Attributes:
        title: Its name.
        kernels: (P, K, K).
        labels: What each of them is.
        response: (n, n), centred: mean |H(w)|^2 of all kernels, where they are the same
            everywhere. Of a content-aware method there is ``places`` instead.
        band: s; replicas are outside of 1/(2s) cycles per pixel.
        places: (P, 2) positions x, y on the image, in its pixels.
        note: Above the response.
    """
    title: str
    kernels: np.ndarray
    labels: Sequence[str]
    band: int = 2
    response: Optional[np.ndarray] = None
    places: Optional[np.ndarray] = None
    note: str = ''


def draw_kernels(image: np.ndarray, rows: Sequence[KernelRow], out: Union[str, Path],
                 title: str = '') -> Path:
    """Write a picture with a row for each step: the places on the image, or the frequency response,
    then kernels over one scale of colours.

    Args:
        image: (H, W, 3) in [0, 1].
        rows: At least one; all with as many kernels.
        out: File to write; its folder is made if need be.
        title: Above the picture.

    Raises:
        ValueError: There is no row.
    """
    if not rows:
        raise ValueError('a picture of kernels needs at least one row, got none')
    count = max(len(row.kernels) for row in rows)
    figure = canvas(1.65 * count + 3.6, 2.1 * len(rows) + 0.5, title)
    grid = figure.subplots(len(rows), count + 1, squeeze=False,
                           gridspec_kw=dict(width_ratios=[1.35] + [1] * count))
    for line, row in zip(grid, rows):
        _draw_first(figure, line[0], image, row)
        largest = np.abs(row.kernels).max() or 1.
        signed = row.kernels.min() < 0
        for axis in line[1:]:
            axis.set(xticks=[], yticks=[])
            axis.axis('off' if axis not in line[1:len(row.kernels) + 1] else 'on')
        for axis, kernel, label in zip(line[1:], row.kernels, row.labels):
            drawn = axis.imshow(kernel, cmap='RdBu_r' if signed else 'viridis',
                                vmin=-largest if signed else 0, vmax=largest,
                                interpolation='nearest')
            axis.set_title(label, fontsize=8)
        colour_bar(figure, drawn, list(line[1:]), 'weight', pad=0.01)
        line[0].set_ylabel(row.title, fontsize=8)
    return save(figure, out)


def _draw_first(figure: Figure, axis, image: np.ndarray, row: KernelRow) -> None:
    if row.response is None:
        axis.imshow(image)
        for (x, y), label in zip(row.places, row.labels):
            axis.text(x, y, label, color='black', fontsize=7, ha='center', va='center',
                      bbox=dict(boxstyle='circle,pad=0.15', facecolor='white', linewidth=0.5))
        axis.set(xticks=[], yticks=[])
        axis.set_title('where', fontsize=8)
        return
    level = 10 * np.log10(np.maximum(row.response / row.response.max(), 1e-6))
    drawn = axis.imshow(level, extent=(-0.5, 0.5, 0.5, -0.5), cmap='magma', vmin=-40, vmax=0)
    band = 0.5 / row.band
    axis.plot([-band, band, band, -band, -band], [-band, -band, band, band, -band],
              color='white', linewidth=0.8, linestyle='--')
    axis.set(xticks=(-0.5, 0, 0.5), yticks=(-0.5, 0, 0.5))
    axis.tick_params(labelsize=7)
    axis.set_title(f'mean response\n{row.note}'.strip(), fontsize=8)
    colour_bar(figure, drawn, axis, 'dB')
