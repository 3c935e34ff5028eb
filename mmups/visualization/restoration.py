"""A sheet of restored images: degraded, true and restored side by side."""
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.figure import Figure

from .figures import save


@dataclass(frozen=True)
class Restoration:
    """An image before and after its restoration.

    Attributes:
        degraded: (H, W, 3) uint8, RGB.
        truth: The same.
        restored: The same.
        psnr: PSNR in dB of the degraded and of the restored image.
    """
    degraded: np.ndarray
    truth: np.ndarray
    restored: np.ndarray
    psnr: tuple[float, float]


def draw_restorations(scenes: Iterable[Restoration], out: Union[str, Path]) -> Path:
    """Write a picture with two images a row, each degraded, true and restored.

    Args:
        scenes: The images, of one shape at best.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: There is no image.
    """
    scenes = list(scenes)
    if not scenes:
        raise ValueError('a sheet needs at least one image, got none')
    per_row = min(2, len(scenes))
    rows = -(-len(scenes) // per_row)
    height, width = scenes[0].truth.shape[:2]
    figure = Figure(figsize=(6.6 * per_row, rows * (2.1 * height / width + 0.3) + 0.5),
                    layout='constrained')
    before, after = np.mean([scene.psnr for scene in scenes], axis=0)
    figure.suptitle(f'PSNR, the mean over these images: degraded {before:.2f} dB, restored '
                    f'{after:.2f} dB', fontsize=11)
    ratios = [1, 1, 1, 0.08] * per_row
    axes = figure.subplots(rows, len(ratios) - 1, squeeze=False,
                           gridspec_kw=dict(width_ratios=ratios[:-1]))
    for axis in axes.flat:
        axis.axis('off')
    for index, scene in enumerate(scenes):
        row, place = divmod(index, per_row)
        pictures = ((scene.degraded, f'degraded, {scene.psnr[0]:.1f} dB'), (scene.truth, 'truth'),
                    (scene.restored, f'restored, {scene.psnr[1]:.1f} dB'))
        for column, (picture, title) in enumerate(pictures, start=4 * place):
            axes[row, column].imshow(picture, interpolation='nearest')
            axes[row, column].set_title(title, fontsize=9, pad=3)
    return save(figure, out)
