"""A sheet of depth maps: image, true depth, prediction and error side by side."""
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from mmups.analysis.pixels import known_depth

from .figures import colour_bar, save

#: Colours of depths, near is bright, and of errors; errors beyond the ends of their scale, in
#: percent, have the colour of the end.
DEPTHS, ERRORS, LIMIT = 'magma_r', 'RdBu_r', 50
UNKNOWN = '0.75'
TITLES = ('image', 'true depth', 'prediction', 'error')


def draw_depth_sheet(scenes: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
                     out: Union[str, Path]) -> Path:
    """Write a picture with two scenes a row, each as image, true depth, prediction and error.

    Depths share one logarithmic scale of colours, from the least to the largest true one. The error
    is (prediction - truth) / truth, red where the prediction is too far, with the mean of its
    absolute value (abs_rel) in the corner. Pixels without a true depth are grey.

    Args:
        scenes: RGB image (H, W, 3) uint8, true and predicted depth (H, W) in metres each; a true
            depth of 0 or less, NaN or infinity is unknown.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: No scene has a pixel of known depth.
    """
    scenes = [(image, np.where(known_depth(truth), truth, np.nan), prediction)
              for image, truth, prediction in scenes]
    known = np.concatenate([truth[~np.isnan(truth)] for _, truth, _ in scenes] or [[]])
    if not known.size:
        raise ValueError(f'a sheet of depths needs a scene with a known depth, got {len(scenes)} '
                         'scenes without')
    depths, errors = depth_scale(known), _scale(Normalize(-LIMIT, LIMIT), ERRORS)
    rows = (len(scenes) + 1) // 2
    figure = Figure(figsize=(13, 1.62 * rows + 1.1), layout='constrained')
    axes = figure.subplots(rows, 9, squeeze=False,
                           gridspec_kw=dict(width_ratios=(1, 1, 1, 1, 0.08, 1, 1, 1, 1)))
    for axis in axes.flat:
        axis.axis('off')
    for index, (image, truth, prediction) in enumerate(scenes):
        row, first = divmod(index, 2)
        error = 100 * (prediction - truth) / truth
        pictures = (image, *(scale.to_rgba(values) for scale, values in (
            (depths, truth), (depths, prediction), (errors, error))))
        for axis, picture, title in zip(axes[row, 5 * first:], pictures, TITLES):
            axis.imshow(picture, interpolation='nearest')
            if row == 0:
                axis.set_title(title)
        if not np.isnan(error).all():
            _note(axes[row, 5 * first + 3], f'{np.nanmean(np.abs(error)) / 100:.3f}')
    below = dict(location='bottom', aspect=40, pad=0.06)
    depth_bar(figure, depths, axes[-1, :4], **below)
    colour_bar(figure, errors, axes[-1, 5:], 'error in percent; in the corner abs_rel of the scene',
               extend='both', **below)
    return save(figure, out)


def depth_scale(depths: np.ndarray) -> ScalarMappable:
    """Logarithmic colours from the least to the largest of some depths; NaN is grey."""
    return _scale(LogNorm(depths.min(), depths.max()), DEPTHS)


def depth_bar(figure: Figure, scale: ScalarMappable, axes: Union[Axes, Sequence[Axes]],
              **options: Any) -> None:
    """The colours of :func:`depth_scale` beside axes, with powers of two."""
    low, high = scale.get_clim()
    powers = range(*np.ceil(np.log2([low, high * 1.001])).astype(int))
    colour_bar(figure, scale, axes, 'depth in metres', format='%g',
               ticks=[2.**power for power in powers], **options).minorticks_off()


def _scale(norm: Normalize, colours: str) -> ScalarMappable:
    return ScalarMappable(norm, colormaps[colours].with_extremes(bad=UNKNOWN))


def _note(axis, text: str) -> None:
    axis.text(0.03, 0.04, text, fontsize=8, transform=axis.transAxes,
              bbox=dict(facecolor='white', edgecolor='none', pad=1.5))
