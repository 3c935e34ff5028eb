"""Files of results: written, gone on with, compared."""
import json
from pathlib import Path

import pytest

from mmups.analysis import Results, compare, file_stem, machine
from mmups.analysis.conditions import fingerprint
from mmups.analysis.speed_tables import comparison, memory_table, speed_table

CONDITIONS = dict(measured='upsamplers x2', threads=1, torch='2.13.0', code='aaaaaaaa')


def row(preset='carafe', ratios=(2., 3., 4.), backend='auto', kind='forward', **more):
    return {'preset': preset, 'backend': backend, 'memory_format': 'contiguous', 'pass': kind,
            'ratio': sorted(ratios)[len(ratios) // 2], 'quartiles': [min(ratios), max(ratios)],
            'ratios': list(ratios), 'seconds': 0.25, 'bilinear_seconds': 0.125, 'rounds': 3,
            'peak_bytes': 300, 'bilinear_peak_bytes': 120, 'output_bytes': 100, **more}


def results(path, *rows, **conditions):
    return Results(Path(path), {**CONDITIONS, **conditions}, list(rows))


def test_round_trip(tmp_path):
    file = tmp_path / 'deep/er/a.json'
    there = Results.resume(file, CONDITIONS)
    assert there.rows == [] and not file.exists()
    there.add([row('carafe'), row('dysample')])
    there.add([row('fade')])
    assert Results.load(file) == Results.resume(file, CONDITIONS) == there
    assert [row['preset'] for row in Results.load(file).rows] == ['carafe', 'dysample', 'fade']
    assert list(file.parent.iterdir()) == [file]


def test_what_is_there():
    there = results('a.json', row('carafe', channels=64))
    assert there.has(preset='carafe', backend='auto')
    assert not there.has(preset='carafe', backend='reference')
    assert not there.has(preset='carafe', channels=32)


def test_other_conditions_are_refused(tmp_path):
    file = tmp_path / 'a.json'
    results(file).add([row()])
    with pytest.raises(ValueError, match='other conditions, threads: 1 and 2; choose'):
        Results.resume(file, {**CONDITIONS, 'threads': 2})


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"conditions": 1, "rows": []}',
                                  '{"conditions": {}, "rows": [1]}'])
def test_other_files_are_refused(text, tmp_path):
    file = tmp_path / 'a.json'
    file.write_text(text)
    with pytest.raises(ValueError, match='a.json holds no results'):
        Results.load(file)


def test_comparison():
    """Slower and faster where the middle halves of the rounds are apart; by hand."""
    before = results('a.json', row('same', (2, 3, 4)), row('slower', (2, 3, 4)),
                     row('faster', (2, 3, 4)), row('gone'), row('noisy', (2, 3, 4)))
    after = results('b.json', row('faster', (1, 1.5, 2)), row('same', (2, 3.3, 4)),
                    row('slower', (4, 6, 8)), row('new'), row('noisy', (3, 6, 9)),
                    dict(preset='refused', backend='auto', memory_format='contiguous',
                         refused='does not fit'), code='bbbbbbbb')
    found = {new['preset']: (factor, verdict) for new, factor, verdict in compare(before, after)}
    assert found == {'same': (pytest.approx(1.1), 'same'), 'slower': (2, 'slower'),
                     'faster': (0.5, 'faster'), 'noisy': (2, 'slower')}
    text = comparison(before, after)
    assert 'a.json -> b.json\ncode: aaaaaaaa and bbbbbbbb\n' in text
    assert text.index('| slower | auto') < text.index('| faster | auto')
    assert '| 2.00 | slower |' in text and '| 0.50 | faster |' in text
    assert '1 of 4 rows changed by no more' in text


def test_a_wide_spread_is_no_change():
    """Quartiles 2.5 to 3.5 and 3.2 to 9: they overlap, though the medians are 3 and 4.4."""
    before, after = results('a.json', row(ratios=(2, 3, 4))), results(
        'b.json', row(ratios=(2, 4.4, 13.6)))
    (_, factor, verdict), = compare(before, after)
    assert (factor, verdict) == (pytest.approx(4.4 / 3), 'same')


def test_rows_of_other_keys_are_not_compared():
    before = results('a.json', row(kind='forward+backward', ratios=(9, 9, 9)),
                     row(backend='reference', ratios=(8, 8, 8)), row(ratios=(2, 3, 4)),
                     row(ratios=(7, 7, 7), size=[30, 30]))
    (new, factor, verdict), = compare(before, results('b.json', row(ratios=(2, 3, 4))))
    assert (factor, verdict) == (1, 'same')


@pytest.mark.parametrize(('conditions', 'message'), [
    (dict(threads=2), 'a.json and b.json cannot be compared.* threads: 1 and 2$'),
    (dict(measured='a model', torch='2.1'), 'measured: upsamplers x2 and a model$')])
def test_different_conditions_are_not_compared(conditions, message):
    with pytest.raises(ValueError, match=message):
        list(compare(results('a.json', row()), results('b.json', row(), **conditions)))


def test_nothing_in_common():
    with pytest.raises(ValueError, match='no row in common'):
        list(compare(results('a.json', row('carafe')), results('b.json', row('fade'))))


def test_tables():
    refused = dict(preset='a2u', backend='auto', memory_format='contiguous', refused='no fit')
    there = results('a.json', row(), row(kind='forward+backward', ratios=(5, 6, 7)), refused)
    speed = speed_table(there)
    assert 'measured upsamplers x2; threads 1; torch 2.13.0; code aaaaaaaa' in speed
    assert ('| carafe | auto | 3.00 | 2.00 to 4.00 | 250.0 | 6.00 | 5.00 to 7.00 | 250.0 | 2.50 | '
            '2.50 | 3, 3 |') in speed
    assert '- a2u: no fit' in speed and '| a2u' not in speed
    assert '| carafe | auto | 3.00 | 1.20 | 3.00 | 1.20 |' in memory_table(there)
    model = results('a.json', row(output_bytes=None, peak_bytes=3 * 2**20))
    assert '| carafe | auto | 3 MiB | 0 MiB |  |  |' in memory_table(model)


def test_machine_is_described():
    import torch
    conditions = machine(torch.device('cpu'), 2)
    assert json.loads(json.dumps(conditions)) == conditions
    assert conditions['threads'] == 2 and conditions['torch'] == torch.__version__
    assert conditions['device_name']


def test_fingerprint_follows_the_code(tmp_path, monkeypatch):
    """Of operators and models, compiled ones too; of nothing else."""
    monkeypatch.setattr('mmups.analysis.conditions.PACKAGE', tmp_path)
    seen = [fingerprint()]
    for name in ('ops/a.py', 'ops/backends/b.py', 'models/upsamplers/c.py', '_C.so'):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for text in ('1', '2'):
            file.write_text(text)
            seen.append(fingerprint())
    assert len(set(seen)) == len(seen) == 9
    (tmp_path / 'analysis.py').write_text('3')
    (tmp_path / 'ops/__pycache__').mkdir()
    (tmp_path / 'ops/__pycache__/a.pyc').write_text('4')
    assert fingerprint() == seen[-1]


def test_name_of_a_file():
    conditions = dict(device_name='Intel(R) Xeon(R) CPU @ 2.70GHz', threads=2, torch='2.13.0+cpu',
                      mmups='0.1.0', code='0123abcd')
    assert file_stem('speed', '256x120x120', conditions) == (
        'speed_256x120x120_intel-r-xeon-r-cpu-2.70ghz_threads-2_torch-2.13.0+cpu_'
        'mmups-0.1.0-0123abcd')
