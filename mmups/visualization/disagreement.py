"""Where predictions of several models differ."""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmups.analysis.disagreement import Scene
from mmups.analysis.pixels import PIXELS, known_depth

from .depth import depth_bar, depth_scale
from .figures import canvas, colour_bar, save
from .sheet import class_legend, colour

COLUMNS = 6


class _Labels:
    """Paints classes."""

    def __init__(self, scene: Scene, classes: Sequence[str], palette: Sequence[Sequence[int]]):
        self.scene, self.classes, self.palette = scene, classes, palette

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        return colour(labels, self.palette)

    def explain(self, figure: Figure, truth: Axes) -> None:
        inside = self.scene.inside
        shown = [label for label in range(len(self.palette)) if any(
            (labels == label).any() for labels in (self.scene.truth, *(
                labels[inside] for labels in self.scene.predictions.values())))]
        class_legend(figure, [self.classes[label] for label in shown],
                     [self.palette[label] for label in shown])


class _Depths:
    """Paints depths by the scale of the true ones."""

    def __init__(self, scene: Scene):
        self.scale: ScalarMappable = depth_scale(scene.truth[known_depth(scene.truth)])

    def __call__(self, depths: np.ndarray) -> np.ndarray:
        return self.scale.to_rgba(np.where(known_depth(depths), depths, np.nan))

    def explain(self, figure: Figure, truth: Axes) -> None:
        depth_bar(truth.figure, self.scale, truth, pad=0.02)


class _Images:
    """Images are shown as they are."""

    def __init__(self, scene: Scene):
        pass

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return image

    def explain(self, figure: Figure, truth: Axes) -> None:
        pass


PAINTERS = {'labels': _Labels, 'depth': _Depths, 'image': _Images}


def draw_disagreement(scene: Scene, out: Union[str, Path], **options) -> Path:
    """The whole image, its truth and where the upsamplers differ, with the window in which they do
    most; then that window: image, truth, and each prediction with its score.

    Args:
        scene: The image and its predictions.
        out: File to write; its folder is made if need be.
        options: Of labels ``classes``, their names, and ``palette``, the RGB colour of each, 0 to
            255; none of other kinds.
    """
    top, left, side = scene.window
    inside = scene.inside
    pixels, paint = PIXELS[scene.kind], PAINTERS[scene.kind](scene, **options)
    tiles = {'image': scene.image[inside], 'truth': paint(scene.truth[inside])}
    for name, prediction in scene.predictions.items():
        score = pixels.score(prediction[inside], scene.truth[inside])
        tiles[f'{name}\n{score}'] = paint(prediction[inside])
    lines = -(-len(tiles) // COLUMNS)
    height, width = scene.disagreement.shape
    heights = 3.2 * height / width + 0.3, 2. * lines
    figure = canvas(1.75 * COLUMNS, sum(heights) + 0.7, f'test image {scene.index}')
    whole, zoomed = figure.subfigures(2, 1, height_ratios=heights)
    axes = whole.subplots(1, 3)
    axes[0].imshow(scene.image)
    axes[1].imshow(paint(scene.truth), interpolation='nearest')
    drawn = axes[2].imshow(scene.disagreement, cmap='magma', vmin=0, vmax=pixels.limit,
                           interpolation='nearest')
    titles = ('image', 'truth', pixels.meaning)
    for axis, title, edge in zip(axes, titles, ('red', 'red', 'cyan')):
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=edge,
                                 linewidth=1.5))
        axis.set_title(title, fontsize=8)
        axis.set(xticks=[], yticks=[])
    colour_bar(whole, drawn, axes[2], '', pad=0.02)
    grid = zoomed.subplots(lines, COLUMNS, squeeze=False)
    for axis in grid.flat:
        axis.axis('off')
    for axis, (title, tile) in zip(grid.flat, tiles.items()):
        axis.imshow(tile, interpolation='nearest')
        axis.set_title(title, fontsize=8)
    paint.explain(figure, axes[1])
    return save(figure, out)
