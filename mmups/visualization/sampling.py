"""Where upsamplers sample."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import numpy as np

from .figures import canvas, colour_bar, save


@dataclass
class SamplingRow:
    """One upsampling step on one image.

    Attributes:
        title: Its name.
        points: (2, H, W) of one group of channels, x before y, in coarse pixels from the centre of
            the first one.
        offsets: The same relative to bilinear interpolation.
        lengths: (H, W), mean length of the offsets over groups, in coarse pixels.
        folded: (H - 1, W - 1), whether the grid of ``points`` folds over there.
        coarse: Height and width of the coarse map.
        share: Share of folded points over all groups.
    """
    title: str
    points: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    folded: np.ndarray
    coarse: tuple[int, int]
    share: float


def draw_sampling(image: np.ndarray, rows: Sequence[SamplingRow], out: Union[str, Path],
                  title: str = '') -> Path:
    """Write a picture with a row for each step: points on the image, offsets as arrows, and their
    mean length.

    Args:
        image: (H, W, 3) in [0, 1].
        rows: At least one.
        out: File to write; its folder is made if need be.
        title: Above the picture.

    Raises:
        ValueError: There is no row.
    """
    if not rows:
        raise ValueError('a picture of points needs at least one row, got none')
    height, width = image.shape[:2]
    figure = canvas(10.5, 3.3 * len(rows) * height / width + 0.6, title)
    for line, row in zip(figure.subplots(len(rows), 3, squeeze=False), rows):
        # Pixel centres of the coarse map to those of the image.
        ratio = np.array([width / row.coarse[1], height / row.coarse[0]])[:, None, None]
        points, moves = (row.points + 0.5) * ratio - 0.5, row.offsets * ratio
        _draw_points(line[0], image, points, row)
        _draw_arrows(line[1], image, points, moves)
        drawn = line[2].imshow(row.lengths, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
                               cmap='viridis', interpolation='nearest')
        line[2].set_title('mean length over groups', fontsize=8)
        colour_bar(figure, drawn, line[2], 'offset, coarse pixels')
        for axis in line:
            axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
        line[0].set_ylabel(row.title, fontsize=8)
    return save(figure, out)


def _draw_points(axis, image: np.ndarray, points: np.ndarray, row: SamplingRow) -> None:
    folded = np.zeros(points.shape[1:], dtype=bool)
    folded[:-1, :-1] = row.folded
    size = min(14., 3e4 / points[0].size)
    axis.imshow(image, alpha=0.75)
    axis.scatter(*points[:, ~folded], s=size, c='white', edgecolors='black', linewidths=0.3)
    axis.scatter(*points[:, folded], s=size, c='red', edgecolors='black', linewidths=0.3)
    axis.set_title(f'points; red: folded ({row.share:.1%} of all groups)', fontsize=8)


def _draw_arrows(axis, image: np.ndarray, points: np.ndarray, moves: np.ndarray) -> None:
    longest = np.hypot(*moves).max()
    factor = 1. if longest == 0 else image.shape[1] / 16 / longest
    origins = points - moves
    axis.imshow(image.mean(-1), cmap='gray', alpha=0.5, vmin=0, vmax=1)
    axis.quiver(*origins, *(moves * factor), angles='xy', scale_units='xy', scale=1,
                color='tab:red', width=0.004)
    axis.set_title(f'offsets, drawn {factor:.3g} times as long', fontsize=8)
