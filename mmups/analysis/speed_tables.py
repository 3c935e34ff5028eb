"""Measurements as tables in Markdown."""
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from .hotspots import Hotspot
from .results import Results, compare, differences
from .roofline import Prediction

PASSES = ('forward', 'forward+backward')


def conditions_line(conditions: Mapping) -> str:
    """What was measured, where and with what, in one line."""
    given = {name: value for name, value in conditions.items() if value not in (None, [])}
    return '; '.join(f'{name.replace("_", " ")} {_text(value)}' for name, value in given.items())


def speed_table(results: Results) -> str:
    """Ratios to bilinear interpolation, a table for each memory format: the median over rounds,
    its quartiles, milliseconds of one call, and the peak of memory."""
    return _tables(results, (
        'forward', 'quartiles', 'ms', 'forward+backward', 'quartiles', 'ms',
        'peak, forward', 'peak, forward+backward', 'rounds'), _speed_cells)


def _speed_cells(rows: Mapping[str, Mapping]) -> list[str]:
    cells = []
    for name in PASSES:
        row = rows.get(name, {})
        if 'ratio' in row:
            low, high = row['quartiles']
            cells += [f'{row["ratio"]:.2f}', f'{low:.2f} to {high:.2f}',
                      f'{1e3 * row["seconds"]:.1f}']
        else:
            cells += [''] * 3
    cells += [f'{row["peak_bytes"] / row["bilinear_peak_bytes"]:.2f}' if (row := rows.get(name))
              else '' for name in PASSES]
    return [*cells, ', '.join(str(rows[name]['rounds']) for name in PASSES
                              if 'rounds' in rows.get(name, {}))]


def memory_table(results: Results) -> str:
    """Peaks of memory as multiples of the output's bytes, beside bilinear's; of a model, of
    bilinear's alone, in MiB."""
    return _tables(results, ('inference', 'bilinear', 'training', 'bilinear'), _memory_cells)


def _memory_cells(rows: Mapping[str, Mapping]) -> list[str]:
    cells = []
    for name in PASSES:
        for key in ('peak_bytes', 'bilinear_peak_bytes'):
            row = rows.get(name)
            unit = row and row['output_bytes']
            cells.append('' if row is None else f'{row[key] / unit:.2f}' if unit
                         else f'{row[key] / 2**20:.0f} MiB')
    return cells


def _tables(results: Results, columns: Sequence[str], cells) -> str:
    lines = [conditions_line(results.conditions)]
    for memory_format in dict.fromkeys(row['memory_format'] for row in results.rows):
        named = {}  # (preset, backend) -> pass -> row
        for row in results.rows:
            if row['memory_format'] == memory_format:
                named.setdefault((row['preset'], row['backend']), {})[row.get('pass')] = row
        fit = {name: rows for name, rows in named.items() if None not in rows}
        lines += ['', f'### {memory_format}', '', *_table(
            ('preset', 'backend', *columns),
            ([*name, *cells(rows)] for name, rows in fit.items()))]
        refused = {preset: rows[None]['refused'] for (preset, _), rows in named.items()
                   if None in rows}
        if refused:
            lines += ['', 'Not measured:', '', *(f'- {preset}: {reason}'
                                                for preset, reason in refused.items())]
    return '\n'.join(lines)


def growth_table(exponents: Mapping[tuple[str, str], Mapping[str, Optional[float]]]) -> str:
    """Exponents of time over output elements.

    Args:
        exponents: Pass and axis -> name of a curve -> exponent; None: fewer than two points.
    """
    names = dict.fromkeys(name for lines in exponents.values() for name in lines)
    columns = [f'{kind}, growing {axis}' for kind, axis in exponents]
    return '\n'.join(_table(
        ('preset, backend, memory format', *columns),
        ([name, *('' if (found := lines.get(name)) is None else f'{found:.2f}'
                  for lines in exponents.values())] for name in names)))


def hotspot_table(found: Iterable[Hotspot]) -> str:
    """Operators with their share of the time."""
    return '\n'.join(_table(('operator', 'share', 'ms', 'calls'), (
        (spot.name, f'{spot.share:.0%}', f'{1e3 * spot.seconds:.2f}', f'{spot.calls:g}')
        for spot in found)))


def roofline_table(predictions: Mapping[str, Prediction]) -> str:
    """What the model of :mod:`mmups.analysis.roofline` says; preset -> prediction."""
    return '\n'.join(_table(
        ('preset', 'multiply-adds', 'bytes', 'ms', 'of bilinear', 'of bilinear, bfloat16',
         'most of the time'),
        ((name, f'{found.macs:.1f}', f'{found.bytes:.1f}', f'{1e3 * found.seconds:.3f}',
          f'{found.ratio:.2f}', f'{found.half_ratio:.2f}', f'{found.longest} ({found.share:.0%})')
         for name, found in predictions.items())))


def comparison(before: Results, after: Results) -> str:
    """What :func:`mmups.analysis.compare` found, the largest change first.

    Raises:
        ValueError: As there.
    """
    rows = sorted(compare(before, after), key=lambda found: -found[1])
    changed = [(row['preset'], row['backend'], row['memory_format'], row['pass'],
                f'{factor:.2f}', verdict) for row, factor, verdict in rows if verdict != 'same']
    lines = [f'{before.path.name} -> {after.path.name}',
             '; '.join(differences(before.conditions, after.conditions)) or 'the same conditions',
             '']
    if changed:
        lines += _table(('preset', 'backend', 'memory format', 'pass', 'factor', ''), changed)
        lines.append('')
    return '\n'.join([*lines, f'{len(rows) - len(changed)} of {len(rows)} rows changed by no more '
                      'than their spread'])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f'| {" | ".join(cells)} |' for cells in (head, ['---'] * len(head), *rows)]


def _text(value: object) -> str:
    return 'x'.join(map(str, value)) if isinstance(value, (list, tuple)) and value \
        and isinstance(value[0], int) else ', '.join(value) if isinstance(value, (list, tuple)) \
        else str(value)
