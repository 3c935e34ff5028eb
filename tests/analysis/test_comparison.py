"""Statistics of a comparison, by hand and by another way through SciPy."""
import csv
import json
import math

import numpy as np
import pytest
from comparison_folder import write_folder

stats = pytest.importorskip('scipy.stats')

from mmups.analysis.comparison import (  # noqa: E402
    Comparison,
    Difference,
    Measure,
    paired_difference,
    summarise,
)
from mmups.analysis.comparison_tables import (  # noqa: E402
    chance,
    class_tables,
    cost_values,
    difference_text,
    main_table,
    robustness_table,
    seconds_table,
    short,
    write_csv,
)

MIOU = Measure('mIoU')


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'folder'


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_differences_of_three_seeds_by_hand():
    """1, 2 and 1: their mean is 4/3, its standard error 1/3; with two degrees of freedom the
    quantile is 4.3027, and the p value of t is 1 - t / sqrt(t^2 + 2)."""
    difference = paired_difference({0: 80., 1: 82., 2: 81., 4: 0.}, {2: 80., 1: 80., 0: 79., 3: 9.})
    assert difference.by_seed == {0: 1, 1: 2, 2: 1}
    assert difference.mean == pytest.approx(4 / 3)
    assert difference.interval == pytest.approx((4 / 3 - 4.302653 / 3, 4 / 3 + 4.302653 / 3))
    assert difference.p == pytest.approx(1 - 4 / math.sqrt(18))
    assert not difference.excludes_zero


@pytest.mark.parametrize('count', [2, 5, 20])
def test_differences_are_students(count):
    draw = np.random.default_rng(count)
    ours, others = draw.normal(76, 1, count), draw.normal(75, 1, count)
    difference = paired_difference(dict(enumerate(ours)), dict(enumerate(others)))
    mean, error = np.mean(ours - others), np.std(ours - others, ddof=1) / math.sqrt(count)
    half = stats.t.ppf(0.975, count - 1) * error
    assert difference.interval == pytest.approx((mean - half, mean + half))
    assert difference.p == pytest.approx(2 * stats.t.sf(abs(mean / error), count - 1))
    assert difference.excludes_zero == (difference.p < 0.05)


@pytest.mark.parametrize(('values', 'others', 'text'), [
    ({0: 2.}, {0: 1.}, '+1.00 (1 seed: no interval)'),
    ({0: 2., 1: 1.}, {0: 1., 2: 5.}, '+1.00 (1 seed: no interval)'),
    ({0: 0.4, 1: 0.5}, {0: 0.3, 1: 0.4}, '+0.10 (the same in 2 seeds: no interval)'),
    ({0: 7., 1: 7.}, {0: 7., 1: 7.}, '+0.00 (the same in 2 seeds: no interval)'),
    ({0: 7.}, {1: 7.}, '–'), ({}, {}, '–')])
def test_no_interval_where_it_would_say_nothing(values, others, text):
    difference = paired_difference(values, others)
    assert difference.interval is None and difference.p is None
    assert not difference.excludes_zero
    assert difference_text(difference, 2) == text


def test_a_mark_where_zero_is_included():
    assert difference_text(Difference({0: 1., 1: 2.}, (-4.856, 7.856), 0.2), 2) == \
        '+1.50 [-4.86, +7.86] ○'
    assert difference_text(Difference({0: -1., 1: -2.}, (-1.9, -1.1), 0.2), 1) == \
        '-1.5 [-1.9, -1.1]'


def test_spreads():
    assert summarise([]) is None
    assert (summarise([3.]).mean, summarise([3.]).sd, summarise([3.]).seeds) == (3, None, 1)
    one = summarise([1., 2., 6.])
    assert (one.mean, one.sd, one.seeds) == (3, pytest.approx(math.sqrt(7)), 3)


def test_expected_by_chance():
    some = [Difference({0: 1., 1: 1.5}, (0.1, 2.), 0.01)] * 3
    none = [Difference({0: 1., 1: 1.5}, (-1., 2.), 0.4)] * 21
    assert chance([*some, *none, Difference({0: 1.}), Difference()]) == (
        '3 of 24 intervals exclude zero. If no two upsamplers differed, 1.2 of them would be '
        'expected to, by chance.')
    assert 'two seeds or more' in chance([Difference({0: 1.})])


def test_reading(folder):
    values = write_folder(folder, skip=[('dysample', 1)])
    comparison = Comparison.read(folder)
    assert comparison.upsamplers == ['bilinear', 'dysample', 'lctc-11-3']
    assert (comparison.baseline, comparison.seeds) == ('bilinear', [0, 1, 2])
    assert comparison.missing == [('dysample', 1)]
    assert comparison.values[MIOU] == values
    assert [str(m) for m in comparison.headlines] == ['mIoU', 'mBIoU']
    assert set(comparison.difference(MIOU, 'dysample').by_seed) == {0, 2}
    assert comparison.difference(MIOU, 'lctc-11-3', 'dysample').by_seed[2] == \
        values['lctc-11-3'][2] - values['dysample'][2]
    assert len(comparison.differences(comparison.headlines)) == 4


def test_attacks_have_their_most_steps_and_classes_their_numbers(folder):
    write_folder(folder)
    comparison = Comparison.read(folder)
    run = comparison.runs[0]
    row = next(r for r in run['robustness'] if (r['name'], r['eps'], r['steps']) == ('pgd', 1, 10))
    attacked = Measure('mIoU', 'pgd', 'linf', 1.)
    assert comparison.of(attacked, 'bilinear')[0] == row['metrics']['mIoU']
    assert {key: [m.eps for m in found] for key, found in comparison.attacked(MIOU).items()} == {
        ('pgd', 'linf'): [0, 0.25, 1], ('cospgd', 'linf'): [0, 0.25, 1]}
    clean = next(r for r in run['robustness'] if r['kind'] == 'clean')
    assert comparison.of(Measure('mIoU', 'pgd', 'linf'), 'bilinear')[0] == clean['metrics']['mIoU']
    grass = Measure('IoU', label='grass')
    assert comparison.of(grass, 'bilinear')[0] == run['classes']['IoU']['grass']
    assert Measure('BIoU', label='grass') not in comparison.values  # not a number
    assert (str(attacked), str(grass)) == ('mIoU under pgd, linf 1/255', 'IoU of grass')


def test_torn_lines(folder):
    values = write_folder(folder)
    path = folder / 'runs.jsonl'
    again = json.loads(path.read_text().splitlines()[0])
    again['metrics']['mIoU'] = 1.
    with open(path, 'a') as file:
        file.write(json.dumps(again) + '\n{"upsampler": "bilin')
    comparison = Comparison.read(folder)
    assert comparison.of(MIOU, 'bilinear') == {**values['bilinear'], 0: 1.}  # the last one counts
    with open(path, 'a') as file:
        file.write('\n' + json.dumps(again))
    with pytest.raises(ValueError, match=r'line 11 of .*runs\.jsonl is no run'):
        Comparison.read(folder)


def test_no_comparison(folder):
    with pytest.raises(ValueError, match='has no comparison.json'):
        Comparison.read(folder)
    write_folder(folder)
    (folder / 'runs.jsonl').write_text('{"torn')
    with pytest.raises(ValueError, match='holds no finished run'):
        Comparison.read(folder)
    (folder / 'comparison.json').write_text('{')
    with pytest.raises(ValueError, match=r'comparison\.json cannot be read'):
        Comparison.read(folder)


def test_runs_of_others_come_last(folder):
    write_folder(folder)
    edit(folder / 'comparison.json', lambda about: about['upsamplers'].pop('dysample'))
    assert Comparison.read(folder).upsamplers == ['bilinear', 'lctc-11-3', 'dysample']


def test_main_table(folder):
    values = write_folder(folder, skip=[('dysample', 1), ('lctc-11-3', 1), ('lctc-11-3', 2)])
    table = main_table(Comparison.read(folder))
    assert table.head == ['upsampler', 'seeds', 'mIoU ↑', 'less bilinear', 'mBIoU ↑',
                          'less bilinear', *cost_values({})]
    bilinear, dysample, lctc = table.rows
    found = list(values['bilinear'].values())
    assert bilinear[:4] == ['bilinear', '3', f'{np.mean(found):.2f} ± {np.std(found, ddof=1):.2f}',
                            '']
    assert dysample[1] == '2' and '[' in dysample[3]
    assert lctc[2] == f'{values["lctc-11-3"][0]:.2f}' and 'no interval' in lctc[3]
    assert dysample[6:] == ['3.70 M', '1.00 k', '1.24 G', '× 1.20', '× 1.30', '× 1.10', '× 1.20']
    assert {len(row) for row in table.rows} == {len(table.head)}


def test_costs_that_are_missing(folder):
    write_folder(folder)
    edit(folder / 'cost.json', lambda cost: (
        cost['rows'].pop('lctc-11-3'), cost['rows']['dysample'].update(macs=None),
        cost['rows']['dysample'].pop('forward+backward')))
    _, dysample, lctc = main_table(Comparison.read(folder)).rows
    assert dysample[6:] == ['3.70 M', '1.00 k', '–', '× 1.20', '–', '× 1.10', '–']
    assert lctc[6:] == ['–'] * 7
    (folder / 'cost.json').unlink()
    assert len(main_table(Comparison.read(folder)).head) == 6


def test_tables_of_classes_attacks_and_time(folder):
    write_folder(folder, skip=[('dysample', 1)])
    comparison = Comparison.read(folder)
    iou, biou = class_tables(comparison)
    assert iou.head == ['class', 'bilinear', 'dysample', 'lctc-11-3']
    assert [row[0] for row in iou.rows] == ['background', 'digit_0', 'grass', 'brick']
    assert [row[0] for row in biou.rows] == ['background', 'digit_0', 'brick']
    assert 'of 8 intervals exclude zero' in iou.caption
    attacks = robustness_table(comparison, MIOU)
    assert attacks.head[1:] == [
        'clean, of the same images', 'pgd, linf 0.25/255', 'pgd, linf 1/255',
        'cospgd, linf 0.25/255', 'cospgd, linf 1/255']
    assert [';' in row[1] for row in attacks.rows] == [False, True, True]
    grass = comparison.summary(Measure('IoU', label='grass'), 'bilinear')
    assert iou.rows[2][1] == f'{grass.mean:.2f}'
    assert seconds_table(comparison).rows == [
        ['bilinear', '101', '8', '30'], ['dysample', '101', '8', '30'],
        ['lctc-11-3', '101', '8', '30'], ['all runs together', '808', '64', '240']]


def test_shares_have_four_decimals(folder):
    write_folder(folder)
    lines = [json.loads(line) for line in (folder / 'runs.jsonl').read_text().splitlines()]
    for run in lines:
        run['metrics'] = {'abs_rel': 0.1 + 0.001 * run['seed']}
    (folder / 'runs.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    table = main_table(Comparison.read(folder))
    assert table.head[2] == 'abs_rel ↓'
    assert table.rows[0][2] == '0.1010 ± 0.0010'


@pytest.mark.parametrize(('count', 'text'), [
    (0, '0'), (999, '999'), (49344, '49.3 k'), (3700000, '3.70 M'), (1.2e9, '1.20 G'),
    (4e8, '400 M')])
def test_counts(count, text):
    assert short(count) == text


def test_csv_holds_the_statistics(folder, tmp_path):
    """Read again, every number is the one that was computed, to the last digit."""
    write_folder(folder, skip=[('dysample', 1), ('lctc-11-3', 1), ('lctc-11-3', 2)])
    comparison = Comparison.read(folder)
    write_csv(comparison, tmp_path / 'table.csv')
    with open(tmp_path / 'table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    costs = [row for row in rows if not row['seeds']]
    assert len(costs) == 3 * len(cost_values({}))
    assert {row['metric']: float(row['mean']) for row in costs
            if row['upsampler'] == 'dysample'} == cost_values(comparison.cost['rows']['dysample'])
    rows = [row for row in rows if row['seeds']]
    assert len(rows) == sum(len(by_name) for by_name in comparison.values.values())
    for row in rows:
        measure = Measure(row['metric'], row['attack'], row['norm'], float(row['eps'] or 0),
                          row['class'])
        summary = comparison.summary(measure, row['upsampler'])
        assert float(row['mean']) == summary.mean and int(row['seeds']) == summary.seeds
        assert row['sd'] == ('' if summary.sd is None else repr(summary.sd))
        if row['upsampler'] == 'bilinear':
            assert row['difference'] == row['low'] == row['common_seeds'] == ''
            continue
        difference = comparison.difference(measure, row['upsampler'])
        assert float(row['difference']) == difference.mean
        if difference.interval is None:
            assert row['low'] == row['high'] == row['p'] == ''
        else:
            assert (float(row['low']), float(row['high'])) == difference.interval
            assert float(row['p']) == difference.p
