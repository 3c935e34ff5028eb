"""tools/benchmark.py from the command line to its files."""
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TINY = ['--channels', '32', '--guide-channels', '32', '--size', '4', '4', '--rounds', '1']


@pytest.fixture
def benchmark(tmp_path, monkeypatch, capsys):
    """Runs the tool in an empty folder; returns what it printed and the files that are there."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, 'argv', ['benchmark.py', *words])
        runpy.run_path(str(ROOT / 'tools/benchmark.py'), run_name='__main__')
        return capsys.readouterr().out, {
            path.suffix: path for path in sorted(tmp_path.glob('work_dirs/benchmark/*'))}
    yield run
    torch.set_num_threads(1)


def test_speed(benchmark):
    out, files = benchmark('speed', '--presets', 'dysample', 'sapa-base', *TINY)
    assert files.keys() == {'.json', '.md', '.png'}
    assert files['.json'].name.startswith('speed_32x4x4_')
    assert f'threads-1_torch-{torch.__version__}_mmups-' in files['.json'].name
    table = files['.md'].read_text()
    assert table in out
    for name in ('dysample', 'sapa-base'):
        assert f'| {name} | auto | ' in table and f'| {name} | reference | ' in table
    content = json.loads(files['.json'].read_text())
    assert content['conditions']['shape'] == [1, 32, 4, 4]
    assert len(content['rows']) == 2 * 2 * 2
    assert str(ROOT) not in files['.json'].read_text()


def test_second_run_measures_what_is_new(benchmark):
    benchmark('speed', '--presets', 'nearest', *TINY)
    out, files = benchmark('speed', '--presets', 'nearest', 'dysample', *TINY)
    assert '4 rows are in' in out and 'nearest, auto, contiguous' not in out
    assert 'dysample, auto, contiguous, forward ' in out
    assert '| nearest | auto |' in files['.md'].read_text()


def test_threads_and_formats(benchmark, tmp_path):
    benchmark('speed', '--presets', 'nearest', '--threads', '1', '2', '--backends', 'auto',
              '--memory-format', 'contiguous', 'channels_last', *TINY)
    contents = [json.loads(path.read_text())
                for path in sorted(tmp_path.glob('work_dirs/benchmark/*.json'))]
    assert [content['conditions']['threads'] for content in contents] == [1, 2]
    assert [[row['memory_format'] for row in content['rows']] for content in contents] == [
        ['contiguous'] * 2 + ['channels_last'] * 2] * 2
    assert len(list(tmp_path.glob('work_dirs/benchmark/*.png'))) == 4


def test_comparison(benchmark, tmp_path):
    _, files = benchmark('speed', '--presets', 'nearest', *TINY)
    content = json.loads(files['.json'].read_text())
    for row in content['rows']:
        row['ratios'] = [2 * ratio for ratio in row['ratios']]
    content['conditions']['code'] = 'changed'
    other = tmp_path / 'b.json'
    other.write_text(json.dumps(content))
    out, _ = benchmark('compare', str(files['.json']), str(other))
    assert out.count('| 2.00 | slower |') == 4 and 'code: ' in out


def test_memory(benchmark):
    out, files = benchmark('memory', '--presets', 'carafe', '--backends', 'reference', *TINY[:-2])
    assert files.keys() == {'.json', '.md'}
    assert '| carafe | reference | ' in out


def test_growth(benchmark):
    out, files = benchmark('speed', '--growth', '--presets', 'nearest', *TINY)
    assert files.keys() == {'.json', '.md', '.png'}
    assert '| nearest, auto, contiguous | ' in files['.md'].read_text()
    assert 'nearest, auto, contiguous, 128x4x4, forward ' in out


def test_profile(benchmark):
    out, files = benchmark('speed', '--profile', '--presets', 'dysample', *TINY)
    assert files.keys() == {'.md'}
    assert '### dysample, auto, contiguous, forward\n' in out
    assert '### dysample, auto, contiguous, forward+backward\n' in out


def test_roofline(benchmark):
    out, files = benchmark('roofline', '--presets', 'dysample', '--shape', '2', '32', '4', '4')
    assert not files and '2x32x4x4, per number' in out and out.count('| dysample | ') == 1


@pytest.mark.parametrize(('words', 'message'), [
    ('roofline --shape 1 32 0 4', 'must be 1 or more, got 1, 32, 0, 4'),
    ('speed --backends fast', "no backend 'fast': one of auto, native"),
    ('speed --threads 0', '--threads must be 1 or more, got 0'),
    ('speed --rounds 0', 'at least 1 round'),
    ('speed --size 0 4', 'must be 1 or more, got 1, 256, 256, 0, 4'),
    ('speed --device nowhere', "'nowhere' cannot be used"),
    ('speed --growth --config x.py', 'leave --config out'),
    ('speed --growth --size 2 2', 'a size of 4x4 at least, got 256, 256 and 2x2'),
    ('speed --config no.py', "no config 'no.py'"),
    ('compare a.json b.json', 'a.json'),
])
def test_mistakes_end_in_one_line(words, message, benchmark, tmp_path):
    with pytest.raises(SystemExit) as error:
        benchmark(*words.split())
    assert message in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'work_dirs').exists()
