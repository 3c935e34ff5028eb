"""Power spectra of maps before and after upsampling."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .figures import canvas, colour_bar, save

COLOURS = ('tab:gray', 'tab:blue', 'tab:red')


@dataclass
class SpectrumRow:
    """One upsampling step.

    Attributes:
        title: Its name.
        scale_factor: s; what came in had the frequencies up to 1/(2s) cycles per fine pixel.
        spectra: Label -> power (H, W), centred. The first one is that of what came in, on its own
            grid.
        profiles: Label -> power by radius, from 0 in steps of 1/n cycles per pixel of its map,
            and n.
        notes: Label -> what is written above its spectrum besides.
    """
    title: str
    scale_factor: float
    spectra: dict[str, np.ndarray]
    profiles: dict[str, tuple[np.ndarray, int]]
    notes: dict[str, str] = field(default_factory=dict)


def draw_spectra(rows: Sequence[SpectrumRow], out: Union[str, Path], title: str = '') -> Path:
    """Write a picture with a row for each step: its spectra over one scale of colours, and their
    radial profiles. The dashed square and line are what the coarse map can hold.

    Args:
        rows: At least one; all with the same labels.
        out: File to write; its folder is made if need be.
        title: Above the picture.

    Raises:
        ValueError: There is no row.
    """
    if not rows:
        raise ValueError('a picture of spectra needs at least one row, got none')
    columns = len(rows[0].spectra)
    figure = canvas(2.6 * columns + 4.6, 2.75 * len(rows) + 0.5, title)
    grid = figure.subplots(len(rows), columns + 1, squeeze=False,
                           gridspec_kw=dict(width_ratios=[1] * columns + [1.25]))
    for line, row in zip(grid, rows):
        _draw_maps(figure, line[:-1], row)
        _draw_profiles(line[-1], row)
    for axis in grid[-1, :-1]:
        axis.set_xlabel('cycles per fine pixel', fontsize=8)
    grid[-1, -1].set_xlabel('radius, cycles per fine pixel', fontsize=8)
    return save(figure, out)


def _draw_maps(figure: Figure, axes: Sequence, row: SpectrumRow) -> None:
    levels = {label: _log10(power) for label, power in row.spectra.items()}
    # Without the lone frequency of the mean, which was taken off.
    shown = np.concatenate([np.delete(level, level.argmin()) for level in levels.values()])
    low, high = max(np.percentile(shown, 1), shown.max() - 8), shown.max()
    for index, (axis, (label, level)) in enumerate(zip(axes, levels.items())):
        left, right, top, bottom = _extent(level.shape, 1 if index else row.scale_factor)
        drawn = axis.imshow(level, extent=(left, right, bottom, top), vmin=low, vmax=high,
                            cmap='magma', interpolation='nearest')
        axis.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5), xticks=(-0.5, 0, 0.5), yticks=(-0.5, 0, 0.5))
        axis.tick_params(labelsize=7)
        axis.set_facecolor('0.9')
        if index:
            band = 0.5 / row.scale_factor
            axis.add_patch(Rectangle((-band, -band), 2 * band, 2 * band, fill=False, linewidth=0.8,
                                     edgecolor='white', linestyle='--'))
        axis.set_title(f'{label}\n{row.notes.get(label, "")}'.strip(), fontsize=8)
    axes[0].set_ylabel(row.title, fontsize=8)
    colour_bar(figure, drawn, list(axes), 'log$_{10}$ power', pad=0.01)


def _draw_profiles(axis, row: SpectrumRow) -> None:
    for index, (label, (profile, n)) in enumerate(row.profiles.items()):
        radius = np.arange(len(profile)) / n / (1 if index else row.scale_factor)
        axis.plot(radius[1:], profile[1:], color=COLOURS[index % len(COLOURS)], label=label,
                  linewidth=1.3)
    axis.axvline(0.5 / row.scale_factor, color='black', linewidth=0.8, linestyle='--')
    axis.set_yscale('log')
    axis.set_xlim(0, 0.5)
    axis.tick_params(labelsize=7)
    axis.set_ylabel('mean power', fontsize=8)
    axis.legend(fontsize=7)
    axis.set_title('radial profile', fontsize=8)


def _extent(shape: tuple[int, int], scale_factor: float) -> list[float]:
    """Outer edges of the columns and rows of a centred spectrum, in cycles per fine pixel."""
    return [(edge - n // 2 - 0.5) / n / scale_factor for n in shape[::-1] for edge in (0, n)]


def _log10(power: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(power, power.max() * 1e-12))
