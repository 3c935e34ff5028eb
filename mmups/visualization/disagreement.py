"""Where predictions of several models differ."""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from matplotlib.patches import Rectangle

from mmups.analysis.disagreement import NONE, Scene

from .figures import canvas, colour_bar, save
from .sheet import class_legend, colour

COLUMNS = 6


def draw_disagreement(scene: Scene, classes: Sequence[str], palette: Sequence[Sequence[int]],
                      out: Union[str, Path]) -> Path:
    """The whole image, its truth and where the upsamplers differ, with the window in which they do
    most; then that window: image, truth, and each prediction with its share of right pixels.

    Args:
        scene: The image and its predictions.
        classes: Names, for the legend.
        palette: RGB colour of each class, 0 to 255.
        out: File to write; its folder is made if need be.
    """
    top, left, side = scene.window
    inside = scene.inside
    known = scene.truth[inside] != NONE
    tiles = {'image': scene.image[inside], 'truth': colour(scene.truth[inside], palette)}
    for name, labels in scene.predictions.items():
        right = (labels[inside] == scene.truth[inside])[known].mean() if known.any() else 0.
        tiles[f'{name}\n{100 * right:.1f} % right'] = colour(labels[inside], palette)
    lines = -(-len(tiles) // COLUMNS)
    height, width = scene.truth.shape
    heights = 3.2 * height / width + 0.3, 2. * lines
    figure = canvas(1.75 * COLUMNS, sum(heights) + 0.7, f'test image {scene.index}')
    whole, zoomed = figure.subfigures(2, 1, height_ratios=heights)
    axes = whole.subplots(1, 3)
    axes[0].imshow(scene.image)
    axes[1].imshow(colour(scene.truth, palette), interpolation='nearest')
    drawn = axes[2].imshow(scene.disagreement, cmap='magma', vmin=0, vmax=1,
                           interpolation='nearest')
    titles = ('image', 'truth', 'pairs of upsamplers that differ')
    for axis, title, edge in zip(axes, titles, ('red', 'red', 'cyan')):
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=edge,
                                 linewidth=1.5))
        axis.set_title(title, fontsize=8)
        axis.set(xticks=[], yticks=[])
    colour_bar(whole, drawn, axes[2], 'share', pad=0.02)
    grid = zoomed.subplots(lines, COLUMNS, squeeze=False).flatten()
    for axis in grid:
        axis.axis('off')
    for axis, (title, tile) in zip(grid, tiles.items()):
        axis.imshow(tile, interpolation='nearest')
        axis.set_title(title, fontsize=8)
    shown = [label for label in range(len(palette)) if any(
        (labels == label).any() for labels in (scene.truth, *(
            labels[inside] for labels in scene.predictions.values())))]
    class_legend(figure, [classes[label] for label in shown],
                 [palette[label] for label in shown])
    return save(figure, out)
