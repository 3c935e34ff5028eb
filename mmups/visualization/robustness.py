"""Pictures of metrics under attack and corruption."""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmups.analysis.robustness import MOVES_PIXELS, headline_metrics

from .figures import EPS, curve, save

STYLES = {'attack': '-', 'long': '--', 'transfer': ':'}


def draw_robustness(rows: Sequence[dict], out: Union[str, Path]) -> Path:
    """One row of a picture for each metric: over the budget, over steps (where there are several
    numbers of them), by corruption.

    Args:
        rows: ``kind``, ``name``, ``norm``, ``eps``, ``steps``, ``severity`` and ``metrics`` each;
            the first has the kind 'clean'.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: Nothing but the clean metrics.
    """
    attacked = [row for row in rows if row['kind'] in STYLES]
    corrupted = [row for row in rows if row['kind'] == 'corruption']
    if not attacked and not corrupted:
        raise ValueError('a picture of robustness needs an attack or a corruption, got neither')
    counts = {row['steps'] for row in attacked if row['name'] != 'fgsm'}
    panels = [panel for panel, wanted in ((_over_eps, attacked), (_over_steps, len(counts) > 1),
                                          (_by_corruption, corrupted)) if wanted]
    metrics = headline_metrics(rows[0]['metrics'])
    figure = Figure(figsize=(5.5 * len(panels), 3.6 * len(metrics)), layout='constrained')
    axes = figure.subplots(len(metrics), len(panels), squeeze=False)
    for line, metric in zip(axes, metrics):
        for axis, panel in zip(line, panels):
            panel(axis, attacked if panel is not _by_corruption else corrupted, metric,
                  rows[0]['metrics'][metric])
            axis.set_ylabel(metric)
            axis.grid(alpha=0.3)
    return save(figure, out)


def _colours(rows: Sequence[dict]) -> dict:
    return dict(zip(dict.fromkeys(row['name'] for row in rows), colormaps['tab10'].colors))


def _over_eps(axis: Axes, rows: Sequence[dict], metric: str, clean: float) -> None:
    """One curve for each attack, with its most steps, and each way to make it."""
    colours = _colours(rows)
    curves: dict[tuple, dict] = {}
    for row in sorted(rows, key=lambda row: row['steps']):  # the most steps come last
        points = curves.setdefault((row['kind'], row['name'], row['norm']), {0: clean})
        points[row['eps']] = row['metrics'][metric]
    for (kind, name, norm), points in curves.items():
        curve(axis, points, STYLES[kind], color=colours[name],
              label=f'{name} {norm}' + f', {kind}' * (kind != 'attack'))
    axis.set_xlabel(EPS)
    axis.legend(fontsize=7)


def _over_steps(axis: Axes, rows: Sequence[dict], metric: str, clean: float) -> None:
    """One curve for each attack and budget: fainter for a smaller budget."""
    colours = _colours(rows)
    budgets = sorted({row['eps'] for row in rows})
    curves: dict[tuple, dict] = {}
    for row in rows:
        if row['kind'] != 'transfer':
            points = curves.setdefault((row['name'], row['eps']), {0: clean})
            points[row['steps']] = row['metrics'][metric]
    for (name, eps), points in curves.items():
        curve(axis, points, color=colours[name], label=f'{name}, eps {eps:g}',
              alpha=0.3 + 0.7 * (budgets.index(eps) + 1) / len(budgets))
    axis.set_xlabel('steps')
    axis.legend(fontsize=6, ncols=2)


def _by_corruption(axis: Axes, rows: Sequence[dict], metric: str, clean: float) -> None:
    """The mean over severities, with the least and the greatest; hatched: pixels are moved."""
    names = list(dict.fromkeys(row['name'] for row in rows))
    values = [[row['metrics'][metric] for row in rows if row['name'] == name] for name in names]
    means = [sum(some) / len(some) for some in values]
    spread = [[mean - min(some) for mean, some in zip(means, values)],
              [max(some) - mean for mean, some in zip(means, values)]]
    bars = axis.bar(range(len(names)), means, yerr=spread, error_kw=dict(elinewidth=0.8))
    for bar, name in zip(bars, names):
        if name in MOVES_PIXELS:
            bar.set_hatch('//')
    axis.axhline(clean, color='black', linewidth=0.8, linestyle=':')
    axis.set_xticks(range(len(names)), names, rotation=40, ha='right', fontsize=7)
