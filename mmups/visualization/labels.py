"""Names beside points, without overlaps."""
import itertools
import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

#: Distances of a label from its point, in points, and directions in degrees, the right one first;
#: and the least distance between labels.
DISTANCES = (0, 8, 16, 28, 42, 60, 80)
GAP = 1.5
DIRECTIONS = (0, 180, 35, -35, 145, -145, 90, -90, 65, -65, 115, -115)


def label_points(axis: Axes, points: Mapping[str, tuple[float, float, float]],
                 fontsize: float = 7.5) -> None:
    """Write names beside points, each at the first free place around it, with a line where that is
    not right beside it.

    Args:
        axis: With everything else in it, and with its layout: of a figure that was drawn.
        points: Name -> x, y and area in square points, as of ``Axes.scatter``.
        fontsize: Of the names.
    """
    pixels = axis.figure.dpi / 72
    frame = axis.get_window_extent()
    taken = {}
    for name, (x, y, area) in points.items():
        centre = axis.transData.transform((x, y))
        radius = math.sqrt(area / math.pi) * pixels
        taken['bubble', name] = Bbox([centre - radius, centre + radius])
    for name, (x, y, area) in points.items():
        text = axis.annotate(name, (x, y), xytext=(0, 0), textcoords='offset points',
                             ha='center', va='center', fontsize=fontsize)
        text.set_in_layout(False)  # which would move the axes
        extent = text.get_window_extent()
        radius = math.sqrt(area / math.pi)
        best = None
        for distance, direction in itertools.product(DISTANCES, DIRECTIONS):
            cos, sin = np.cos(np.radians(direction)), np.sin(np.radians(direction))
            # The nearest edge of the label keeps the distance, whatever its length.
            reach = radius + distance + GAP
            offset = np.array([cos * reach + np.sign(round(cos, 2)) * extent.width / 2 / pixels,
                               sin * reach + np.sign(round(sin, 2)) * extent.height / 2 / pixels])
            box = extent.translated(*(offset * pixels))
            outside = not (frame.x0 <= box.x0 and box.x1 <= frame.x1
                           and frame.y0 <= box.y0 and box.y1 <= frame.y1)
            overlaps = sum(box.padded(GAP * pixels).overlaps(other)
                           for key, other in taken.items() if key != ('bubble', name))
            rank = (outside, overlaps)
            if best is None or rank < best[0]:
                best = rank, distance, offset, box
            if rank == (False, 0):
                break
        _, distance, offset, box = best
        text.set_position(offset)
        taken['label', name] = box
        if distance:
            centre = axis.transData.transform((x, y))
            edge = (np.clip(centre, box.min, box.max) - centre) / pixels
            axis.annotate('', (x, y), xytext=edge, textcoords='offset points', arrowprops=dict(
                arrowstyle='-', linewidth=0.5, color='black', shrinkA=0, shrinkB=0)
                          ).set_in_layout(False)
