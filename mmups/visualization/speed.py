"""Pictures of what upsamplers cost in time."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .figures import save

#: Name of a pass -> title of its part of a picture.
TITLES = {'forward': 'inference', 'forward+backward': 'forward and backward'}


def draw_bars(rows: Sequence[Mapping], title: str, out: Union[str, Path]) -> Path:
    """Bars of time as a multiple of bilinear interpolation's, as in Fig. 8 of the DySample paper
    (arXiv:2308.15085): one part for each pass, one colour for each backend, quartiles as whiskers,
    and methods from the fastest to the slowest.

    Args:
        rows: ``preset``, ``backend``, ``pass``, ``ratio`` and ``quartiles`` each.
        title: Above the picture.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: There is no row.
    """
    if not rows:
        raise ValueError('a picture of times needs at least one row, got none')
    ratios = {}
    for row in rows:
        ratios.setdefault(row['preset'], []).append(row['ratio'])
    presets = sorted(ratios, key=lambda preset: min(ratios[preset]))
    backends = list(dict.fromkeys(row['backend'] for row in rows))
    passes = [name for name in TITLES if any(row['pass'] == name for row in rows)]
    figure = Figure(figsize=(2 + 0.42 * len(presets) * len(backends)**0.5, 3.6 * len(passes)),
                    layout='constrained')
    figure.suptitle(title, fontsize=9, wrap=True)
    width = 0.8 / len(backends)
    for axis, kind in zip(figure.subplots(len(passes), squeeze=False)[:, 0], passes):
        for index, backend in enumerate(backends):
            bars = [row for row in rows if (row['pass'], row['backend']) == (kind, backend)]
            places = [presets.index(row['preset']) + (index - (len(backends) - 1) / 2) * width
                      for row in bars]
            heights = [row['ratio'] for row in bars]
            whiskers = [[max(row['ratio'] - row['quartiles'][0], 0) for row in bars],
                        [max(row['quartiles'][1] - row['ratio'], 0) for row in bars]]
            drawn = axis.bar(places, heights, width, yerr=whiskers, label=backend,
                             error_kw=dict(elinewidth=0.8))
            axis.bar_label(drawn, [f'{height:.3g}' for height in heights], fontsize=6, padding=2,
                           rotation=90)
        axis.axhline(1, color='black', linewidth=0.8, linestyle=':')
        axis.set_yscale('log')
        axis.margins(x=0.01, y=0.15)
        axis.set_xticks(range(len(presets)), presets, rotation=40, ha='right', fontsize=8)
        axis.set_ylabel('time / bilinear')
        axis.set_title(TITLES[kind], fontsize=9)
        if len(backends) > 1:
            axis.legend(title='backend', fontsize=7, loc='upper left', bbox_to_anchor=(1, 1))
    return save(figure, out)


def draw_growth(curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
                exponents: Mapping[str, Mapping[str, Optional[float]]], title: str,
                out: Union[str, Path]) -> Path:
    """Time over the elements of the output, one part for each axis along which a map grows.

    Args:
        curves: Axis -> name of a curve -> output elements and seconds of its points.
        exponents: Axis -> name of a curve -> its exponent, for the legend.
        title: Above the picture.
        out: File to write; its folder is made if need be.

    Returns:
        The path written.

    Raises:
        ValueError: There is no curve.
    """
    if not any(curves.values()):
        raise ValueError('a picture of growth needs at least one curve, got none')
    figure = Figure(figsize=(7.5 * len(curves), 6), layout='constrained')
    figure.suptitle(title, fontsize=9, wrap=True)
    colours = colormaps['tab20'].colors
    for axis, (name, lines) in zip(figure.subplots(1, len(curves), squeeze=False)[0],
                                   curves.items()):
        for index, (label, points) in enumerate(lines.items()):
            fitted = exponents[name].get(label)
            axis.plot(*zip(*sorted(points)), marker='o', markersize=3, linewidth=1.2,
                      color=colours[index % len(colours)], linestyle=('-', '--')[index // 20 % 2],
                      label=label if fitted is None else f'{label}: {fitted:.2f}')
        axis.set_xscale('log')
        axis.set_yscale('log')
        axis.set_xlabel('elements of the output')
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel('seconds')
        axis.set_title(f'growing {name}', fontsize=9)
        axis.legend(title='exponent', fontsize=6, loc='center left', bbox_to_anchor=(1, 0.5))
    return save(figure, out)
