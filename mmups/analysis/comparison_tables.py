"""The tables of a comparison."""
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from .comparison import CONFIDENCE, Comparison, Difference, Measure
from .document import Table
from .hypotheses import Judgement
from .robustness import larger_is_better
from .speed_tables import PASSES

#: In tables, of an interval that includes zero; pictures draw an empty circle.
OPEN = '○'
NOTHING = '–'
SECONDS = ('train', 'test', 'robustness')
CSV = ('upsampler', 'metric', 'attack', 'norm', 'eps', 'class', 'seeds', 'mean', 'sd',
       'common_seeds', 'difference', 'low', 'high', 'p')


def main_table(comparison: Comparison) -> Table:
    """A row for each upsampler: headline metrics, their differences to the baseline, and cost."""
    measures = comparison.headlines
    head, rows = ['upsampler', 'seeds'], []
    for measure in measures:
        head += [f'{measure.metric} {arrow(measure)}', f'less {comparison.baseline}']
    costs = (comparison.cost or {}).get('rows', {})
    if costs:
        head += cost_values({})
    for name in comparison.upsamplers:
        count = sum(run['upsampler'] == name for run in comparison.runs)
        row = [name, str(count)]
        for measure in measures:
            row += [_mean(comparison, measure, name, count), _versus(comparison, measure, name)]
        rows.append(row + (_costs(costs.get(name, {})) if costs else []))
    return Table(head, rows, f'Mean ± sample standard deviation over seeds; differences to '
                             f'{comparison.baseline} over common seeds with the '
                             f'{100 * CONFIDENCE:g} % interval of their mean')


def arrow(measure: Measure) -> str:
    """Which way is better."""
    return '↑' if larger_is_better(measure.metric) else '↓'


def chance(differences: Sequence[Difference]) -> str:
    """How many intervals exclude zero, and how many of them would if there was nothing."""
    intervals = [difference for difference in differences if difference.interval]
    if not intervals:
        return ('There is no interval: it takes two seeds or more that an upsampler and the '
                'other one have in common, and differences that are not all the same.')
    count = sum(difference.excludes_zero for difference in intervals)
    return (f'{count} of {len(intervals)} intervals exclude zero. If no two upsamplers differed, '
            f'{(1 - CONFIDENCE) * len(intervals):.2g} of them would be expected to, by chance.')


def difference_text(difference: Difference, places: int) -> str:
    """Mean difference, interval, and :data:`OPEN` where that includes zero."""
    if difference.mean is None:
        return NOTHING
    mean = f'{difference.mean:+.{places}f}'
    if difference.interval is None:
        count = len(difference.by_seed)
        return f'{mean} ({"1 seed" if count == 1 else f"the same in {count} seeds"}: no interval)'
    low, high = difference.interval
    mark = '' if difference.excludes_zero else f' {OPEN}'
    return f'{mean} [{low:+.{places}f}, {high:+.{places}f}]{mark}'


def class_tables(comparison: Comparison) -> list[Table]:
    """For each metric that has values by class: a row for each class."""
    tables = []
    names = comparison.upsamplers
    for metric in dict.fromkeys(m.metric for m in comparison.values if m.label):
        measures = [m for m in comparison.values if m.label and m.metric == metric]
        rows = []
        for measure in measures:
            rows.append([measure.label, *(_both(comparison, measure, name) for name in names)])
        tables.append(Table(
            ['class', *names], rows,
            f'{metric} {arrow(measures[0])} by class: mean; difference to {comparison.baseline}. '
            f'{chance(comparison.differences(measures))}'))
    return tables


def robustness_table(comparison: Comparison, measure: Measure) -> Optional[Table]:
    """A headline metric under attack; None where there was none."""
    measures = [m for found in comparison.attacked(measure).values() for m in found]
    if not measures:
        return None
    unharmed = [m for m in measures if not m.eps][:1]  # the same for all attacks
    measures = [*unharmed, *(m for m in measures if m.eps)]
    rows = [[name, *(_both(comparison, attacked, name) for attacked in measures)]
            for name in comparison.upsamplers]
    head = ['upsampler', *('clean, of the same images' if not m.eps else
                           f'{m.attack}, {m.norm} {m.eps:g}/255' for m in measures)]
    return Table(head, rows, f'{measure.metric} {arrow(measure)} under attack: mean; difference to '
                             f'{comparison.baseline}. '
                             f'{chance(comparison.differences(measures))}')


def hypotheses_table(comparison: Comparison, judgements: Sequence[Judgement]) -> Table:
    """A row for each pair of each claim, which is written out once."""
    rows, written = [], ''
    for one in judgements:
        places = _places(comparison, one.measure) if one.measure else 0
        claim = f'{one.claim} ({one.source})'
        rows.append([one.id, claim if claim != written else '',
                     str(one.measure) if one.measure else NOTHING, f'{one.better} – {one.worse}',
                     difference_text(one.difference, places), one.verdict])
        written = claim
    return Table(['', 'claim', 'measure', 'difference of', 'mean and interval', 'verdict'], rows,
                 'Supported: the whole interval lies on the side of the claim. '
                 + chance([one.difference for one in judgements]))


def seconds_table(comparison: Comparison) -> Table:
    """What runs took: the mean of an upsampler, and the sum of everything."""
    rows, totals = [], dict.fromkeys(SECONDS, 0.)
    for name in comparison.upsamplers:
        taken = [run['seconds'] for run in comparison.runs if run['upsampler'] == name]
        row = [name]
        for key in SECONDS:
            values = [one[key] for one in taken if one.get(key) is not None]
            totals[key] += sum(values)
            row.append(f'{sum(values) / len(values):.0f}' if values else NOTHING)
        rows.append(row)
    rows.append(['all runs together', *(f'{totals[key]:.0f}' for key in SECONDS)])
    return Table(['upsampler', *SECONDS], rows, 'Seconds of one run, mean over seeds')


def write_csv(comparison: Comparison, path: Path) -> None:
    """Every statistic with all its digits: a row for each measure and upsampler. What a model
    costs follows, as measures without seeds."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        table = csv.DictWriter(file, CSV)
        table.writeheader()
        table.writerows(_csv_rows(comparison))


def _csv_rows(comparison: Comparison) -> Iterable[dict]:
    for measure in comparison.values:
        for name in comparison.upsamplers:
            summary = comparison.summary(measure, name)
            if summary is None:
                continue
            row = dict(upsampler=name, metric=measure.metric, attack=measure.attack,
                       norm=measure.norm, eps=measure.eps if measure.attack else None,
                       seeds=summary.seeds, mean=summary.mean, sd=summary.sd)
            row['class'] = measure.label
            if name != comparison.baseline:
                difference = comparison.difference(measure, name)
                low, high = difference.interval or (None, None)
                row.update(common_seeds=len(difference.by_seed), difference=difference.mean,
                           low=low, high=high, p=difference.p)
            yield row
    for name, costs in (comparison.cost or {}).get('rows', {}).items():
        for metric, value in cost_values(costs).items():
            yield dict(upsampler=name, metric=metric, mean=value)


def cost_values(costs: Mapping) -> dict[str, Optional[float]]:
    """What a row of ``cost.json`` says, by names for tables; None: not measured."""
    values = {'parameters': costs.get('parameters'),
              'of upsamplers': costs.get('upsampler_parameters'),
              'multiply-adds': costs.get('macs')}
    passes = {name: costs.get(name) or {} for name in PASSES}
    for name, row in passes.items():
        values[f'time, {name}'] = row.get('ratio')
    for name, row in passes.items():
        whole, part = row.get('bilinear_peak_bytes'), row.get('peak_bytes')
        values[f'memory, {name}'] = part / whole if whole and part is not None else None
    return values


def _costs(costs: Mapping) -> list[str]:
    counts = {'parameters', 'of upsamplers', 'multiply-adds'}
    return [NOTHING if value is None else short(value) if name in counts else f'× {value:.2f}'
            for name, value in cost_values(costs).items()]


def short(count: float) -> str:
    """A count in three digits: 49.3 k, 3.70 M, 1.20 G."""
    for unit, size in ((' G', 1e9), (' M', 1e6), (' k', 1e3)):
        if count >= size:
            return f'{count / size:#.3g}'.rstrip('.') + unit
    return f'{count:.0f}'


def _mean(comparison: Comparison, measure: Measure, name: str, count: int) -> str:
    summary = comparison.summary(measure, name)
    if summary is None:
        return NOTHING
    places = _places(comparison, measure)
    spread = '' if summary.sd is None else f' ± {summary.sd:.{places}f}'
    fewer = '' if count == summary.seeds else f' ({summary.seeds} seeds)'
    return f'{summary.mean:.{places}f}{spread}{fewer}'


def _versus(comparison: Comparison, measure: Measure, name: str) -> str:
    if name == comparison.baseline:
        return ''
    return difference_text(comparison.difference(measure, name),
                           _places(comparison, measure))


def _both(comparison: Comparison, measure: Measure, name: str) -> str:
    """The mean without its spread, and the difference to the baseline, in one cell."""
    summary = comparison.summary(measure, name)
    if summary is None:
        return NOTHING
    mean = f'{summary.mean:.{_places(comparison, measure)}f}'
    return '; '.join(filter(None, (mean, _versus(comparison, measure, name))))


def _places(comparison: Comparison, measure: Measure) -> int:
    """Two decimals for percent, four for shares."""
    by_name = comparison.values.get(measure, {})
    largest = max((abs(v) for by_seed in by_name.values() for v in by_seed.values()), default=0)
    return 2 if largest > 2 else 4
