"""What all pictures share."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure


def canvas(width: float, height: float, title: str) -> Figure:
    """An empty figure with a title, in inches."""
    figure = Figure(figsize=(width, height), layout='constrained')
    figure.suptitle(title, fontsize=10, wrap=True)
    return figure


def colour_bar(figure: Figure, drawn: ScalarMappable, axes: Union[Axes, Sequence[Axes]],
               label: str, shrink: float = 0.85, **options: Any) -> Colorbar:
    """The scale of colours of an image, beside its axes."""
    bar = figure.colorbar(drawn, ax=axes, shrink=shrink, **options)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return bar


#: The budget of an attack, as everywhere in units of 0..255.
EPS = 'eps / 255'


def curve(axis: Axes, points: Mapping[float, float], line: str = '-', **options: Any) -> None:
    """Values over what they were measured at, from the least on."""
    axis.plot(*zip(*sorted(points.items())), line, **{'marker': 'o', 'markersize': 3, **options})


def save(figure: Figure, out: Union[str, Path]) -> Path:
    """Write a figure; the folder is made if need be."""
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    return out
