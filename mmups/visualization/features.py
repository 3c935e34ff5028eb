"""One map, upsampled by every method."""
from collections.abc import Mapping
from pathlib import Path
from typing import Union

import numpy as np

from .figures import canvas, colour_bar, save


def draw_features(image: np.ndarray, coarse: np.ndarray, maps: Mapping[str, np.ndarray],
                  out: Union[str, Path], title: str = '') -> Path:
    """Write a picture of the image, of the coarse map and of what methods make of it, over one
    scale of colours: the coarse map's.

    Args:
        image: (H, W, 3) in [0, 1].
        coarse: (h, w), a view of the map in one number per pixel.
        maps: Method -> (s*h, s*w), the same view of its output. At least one.
        out: File to write; its folder is made if need be.
        title: Above the picture.

    Raises:
        ValueError: There is no map.
    """
    if not maps:
        raise ValueError('a picture of features needs at least one method, got none')
    columns = 6
    lines = -(-(len(maps) + 2) // columns)
    figure = canvas(2. * columns + 0.8, 2.2 * lines + 0.6, title)
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    for axis in axes:
        axis.axis('off')
    axes[0].imshow(image)
    axes[0].set_title('image', fontsize=9)
    low, high = coarse.min(), coarse.max()
    for axis, (label, values) in zip(axes[1:], {'coarse map': coarse, **maps}.items()):
        drawn = axis.imshow(values, vmin=low, vmax=high, cmap='viridis', interpolation='nearest')
        axis.set_title(label, fontsize=9)
    colour_bar(figure, drawn, list(axes), 'first principal component', shrink=0.6, pad=0.01)
    return save(figure, out)
