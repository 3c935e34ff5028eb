"""Pictures of a comparison of upsamplers over seeds."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mmups.analysis.comparison import CONFIDENCE, Comparison, Measure
from mmups.analysis.comparison_tables import arrow, short
from mmups.analysis.speed_tables import PASSES

from .figures import EPS, canvas, curve, save
from .labels import label_points

MARKERS = 'osD^vPX'


@dataclass(frozen=True)
class Look:
    """How an upsampler is drawn, in every picture."""
    color: tuple[float, ...]
    marker: str


def looks(comparison: Comparison) -> dict[str, Look]:
    """The baseline is black; ten others differ by colour, more by marker and colour."""
    others = [name for name in comparison.upsamplers if name != comparison.baseline]
    colours = colormaps['tab10' if len(others) <= 10 else 'tab20'].colors
    drawn = {name: Look(colours[index % len(colours)], MARKERS[(index + 1) % len(MARKERS)])
             for index, name in enumerate(others)}
    return {**drawn, comparison.baseline: Look((0., 0., 0.), MARKERS[0])}


def draw_differences(comparison: Comparison, out: Union[str, Path]) -> Path:
    """Paired differences to the baseline with their intervals: one part for each headline metric,
    a line for each upsampler, a small dot for each seed. An empty circle: the interval includes
    zero, or there is none.

    Args:
        comparison: The runs.
        out: File to write; its folder is made if need be.

    Raises:
        ValueError: There is nothing to compare with the baseline.
    """
    names = [name for name in comparison.upsamplers if name != comparison.baseline]
    if not names:
        raise ValueError('a picture of differences needs an upsampler besides the baseline, got '
                         f'{comparison.upsamplers}')
    measures, look = comparison.headlines, looks(comparison)
    columns = min(len(measures), 3)
    lines = -(-len(measures) // columns)
    figure = canvas(1.8 + 3.6 * columns, lines * (1.1 + 0.27 * len(names)) + 0.4,
                    f'difference to {comparison.baseline}: mean over seeds, '
                    f'{100 * CONFIDENCE:g} % interval, single seeds')
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    for axis in axes[len(measures):]:
        axis.axis('off')
    for axis, measure in zip(axes, measures):
        for place, name in enumerate(names):
            difference = comparison.difference(measure, name)
            if difference.mean is None:
                continue
            colour = look[name].color
            seeds = list(difference.by_seed.values())
            axis.plot(seeds, [place + 0.22] * len(seeds), '.', color=colour, alpha=0.6,
                      markersize=4)
            if difference.interval:
                axis.plot(difference.interval, [place] * 2, color=colour, linewidth=1.8)
            axis.plot(difference.mean, place, look[name].marker, color=colour, markersize=6,
                      markerfacecolor=colour if difference.excludes_zero else 'white')
        axis.axvline(0, color='black', linewidth=0.8)
        axis.grid(axis='x', alpha=0.3)
        axis.set_xlabel(f'{measure.metric} less that of {comparison.baseline}', fontsize=8)
        axis.set_title(f'{measure.metric} {arrow(measure)}', fontsize=9)
        axis.tick_params(labelsize=8)
        axis.set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    return save(figure, out)


def cost_scales(comparison: Comparison) -> dict[str, dict[str, float]]:
    """What was measured of the costs: label of a scale -> upsampler -> value."""
    rows = (comparison.cost or {}).get('rows', {})
    times = {name: row[PASSES[0]]['ratio'] for name, row in rows.items() if row.get(PASSES[0])}
    macs = {name: row['macs'] / 1e9 for name, row in rows.items() if row.get('macs') is not None}
    scales = {'time of inference / bilinear': times, 'multiply-adds of the model, in 10⁹': macs}
    return {label: values for label, values in scales.items() if values}


def draw_costs(comparison: Comparison, out: Union[str, Path]) -> Path:
    """Headline metrics over what an upsampler costs, after Fig. 1 of the DySample paper
    (arXiv:2308.15085): over the time of inference and over multiply-adds, as far as they were
    measured; the area is the number of parameters of the upsamplers.

    Args:
        comparison: The runs, with their cost.
        out: File to write; its folder is made if need be.

    Raises:
        ValueError: No cost was measured.
    """
    scales = cost_scales(comparison)
    if not scales:
        raise ValueError('a picture of costs needs times or multiply-adds, got neither')
    measures, look = comparison.headlines, looks(comparison)
    sizes = {name: row['upsampler_parameters'] for name, row in comparison.cost['rows'].items()}
    largest = max(sizes.values()) or 1
    figure = canvas(6. * len(scales), 4. * len(measures) + 0.6,
                    'accuracy over cost: mean ± standard deviation over seeds; area: parameters of '
                    f'the upsamplers, the largest {short(largest)}')
    axes = figure.subplots(len(measures), len(scales), squeeze=False)
    for line, measure in zip(axes, measures):
        for axis, (label, costs) in zip(line, scales.items()):
            for name, cost in costs.items():
                summary = comparison.summary(measure, name)
                if summary is None:
                    continue
                axis.errorbar(cost, summary.mean, summary.sd, color=look[name].color,
                              elinewidth=0.8, alpha=0.5)
                axis.scatter(cost, summary.mean, color=[look[name].color], edgecolor='black',
                             linewidth=0.5, alpha=0.6, label=name,
                             s=25 + 700 * sizes[name] / largest)
            if max(costs.values()) > 5 * min(costs.values()):
                axis.set_xscale('log', base=2)
                axis.xaxis.set_major_formatter('{x:g}')
            axis.margins(0.12)
            axis.grid(alpha=0.3)
            axis.set_xlabel(label, fontsize=9)
            axis.set_ylabel(f'{measure.metric} {arrow(measure)}', fontsize=9)
            axis.tick_params(labelsize=8)
    figure.draw_without_rendering()  # fixes limits and layout, by which labels are placed
    for axis in axes.flat:
        label_points(axis, {marks.get_label(): (*marks.get_offsets()[0], marks.get_sizes()[0])
                            for marks in axis.collections if marks.get_label() in look})
    return save(figure, out)


def draw_attacks(comparison: Comparison, measure: Measure, out: Union[str, Path]) -> Path:
    """A metric over the budget, a line of the picture for each attack: means with a band of one
    standard deviation, and differences to the baseline with their intervals.

    Args:
        comparison: The runs.
        measure: The metric on clean images.
        out: File to write; its folder is made if need be.

    Raises:
        ValueError: There was no attack.
    """
    attacks = comparison.attacked(measure)
    if not attacks:
        raise ValueError(f'{measure} was not measured under an attack')
    look = looks(comparison)
    names = [name for name in comparison.upsamplers if comparison.of(measure, name)]
    budgets = max(map(len, attacks.values()))
    figure = canvas(5 + max(4.5, 0.1 * len(names) * budgets), 3.4 * len(attacks) + 0.9,
                    f'{measure.metric} {arrow(measure)} under attack: mean and standard deviation '
                    f'over seeds; difference to {comparison.baseline} with '
                    f'{100 * CONFIDENCE:g} % interval')
    axes = figure.subplots(len(attacks), 2, squeeze=False, gridspec_kw=dict(
        width_ratios=[4.5, max(4.5, 0.1 * len(names) * budgets)]))
    for (left, right), ((attack, norm), attacked) in zip(axes, attacks.items()):
        for name in names:
            _draw_over_eps(left, comparison, attacked, name, look[name])
        left.set_xlabel(EPS, fontsize=8)
        left.set_ylabel(measure.metric, fontsize=8)
        left.set_title(f'{attack}, {norm}', fontsize=9)
        _draw_differences_over_eps(right, comparison, attacked, names, look)
        right.set_ylabel(f'less {comparison.baseline}', fontsize=8)
        for axis in (left, right):
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=8)
    handles = [Line2D([], [], color=look[name].color, marker=look[name].marker, markersize=4,
                      label=name) for name in names]
    figure.legend(handles=handles, loc='outside lower center', fontsize=8, frameon=False,
                  ncols=min(len(handles), 7))
    return save(figure, out)


def _draw_over_eps(axis: Axes, comparison: Comparison, measures: Sequence[Measure], name: str,
                   look: Look) -> None:
    summaries = {m.eps: comparison.summary(m, name) for m in measures}
    summaries = {eps: summary for eps, summary in summaries.items() if summary}
    curve(axis, {eps: summary.mean for eps, summary in summaries.items()}, color=look.color,
          marker=look.marker, linewidth=1.2)
    known = {eps: summary for eps, summary in summaries.items() if summary.sd is not None}
    axis.fill_between(list(known), [summary.mean - summary.sd for summary in known.values()],
                      [summary.mean + summary.sd for summary in known.values()],
                      color=look.color, alpha=0.15, linewidth=0)


def _draw_differences_over_eps(axis: Axes, comparison: Comparison, measures: Sequence[Measure],
                               names: Sequence[str], look: Mapping[str, Look]) -> None:
    """Beside one another at each budget, whatever its size."""
    others = [name for name in names if name != comparison.baseline]
    for index, name in enumerate(others):
        shift = 0.8 * ((index + 0.5) / len(others) - 0.5)
        for place, measure in enumerate(measures):
            difference = comparison.difference(measure, name)
            if difference.mean is None:
                continue
            if difference.interval:
                axis.plot([place + shift] * 2, difference.interval, color=look[name].color,
                          linewidth=1.2)
            axis.plot(place + shift, difference.mean, look[name].marker, markersize=4,
                      color=look[name].color, markerfacecolor=look[name].color
                      if difference.excludes_zero else 'white')
    axis.axhline(0, color='black', linewidth=0.8)
    for place in range(len(measures) - 1):
        axis.axvline(place + 0.5, color='black', linewidth=0.4, linestyle=':')
    axis.set_xlim(-0.5, len(measures) - 0.5)
    axis.set_xticks(range(len(measures)), [f'{m.eps:g}' if m.eps else 'clean' for m in measures])
    axis.set_xlabel(EPS, fontsize=8)
