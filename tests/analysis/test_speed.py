"""Upsamplers on the bench: what is run, what a row says, how growth is walked through."""
import json

import pytest
import torch

from mmups import presets
from mmups.analysis import (
    Effort,
    Growth,
    Results,
    UpsamplerBench,
    check_backend,
    checked_device,
    curves,
    exponents,
    grow_all,
    hotspots,
    measure,
    measure_all,
)
from mmups.analysis.growth import exponent, grow, too_large
from mmups.ops import current_backend

BENCH = UpsamplerBench(channels=32, size=(4, 6), guide_channels=32)
QUICK = Effort(rounds=2, turn=0.)
PRESETS = presets()


@pytest.mark.parametrize('memory_format', ['contiguous', 'channels_last'])
@pytest.mark.parametrize('preset', PRESETS)
def test_passes(preset, memory_format):
    """A map of twice the size in the format; a gradient for each input and parameter."""
    passes = BENCH.candidate(PRESETS[preset], memory_format)
    out = passes.forward()
    assert out.shape == (1, 32, 8, 12) and not out.requires_grad
    assert out.is_contiguous(memory_format=getattr(
        torch, dict(contiguous='contiguous_format').get(memory_format, memory_format)))
    assert passes.output_bytes == out.numel() * 4
    gradients = passes.training()
    assert gradients[0].shape == (1, 32, 4, 6)
    guided = len(gradients) > 1 and gradients[1].shape == (1, 32, 8, 12)
    assert guided == preset.startswith((
        'a2u', 'fade', 'freqfusion', 'indexnet', 'resfu', 'sapa'))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_inference_and_training_are_told_apart():
    """IndexNet's batch norms: of the batch in training, of what they have seen in inference."""
    passes = BENCH.candidate(PRESETS['indexnet'], 'contiguous')
    before = passes.forward()
    passes.training()
    assert torch.equal(passes.forward(), before)


def test_bilinear_preset_is_the_baseline():
    base = BENCH.baseline('contiguous')
    preset = BENCH.candidate(PRESETS['bilinear'], 'contiguous')
    assert torch.equal(base.forward(), preset.forward())
    assert torch.equal(base.training()[0], preset.training()[0])


def test_backend_is_in_force_while_a_pass_runs():
    from mmups.analysis import Passes
    passes = Passes(current_backend, current_backend).on('reference')
    before = current_backend()
    assert passes.forward() == passes.training() == 'reference'
    assert current_backend() == before


def test_rows():
    """A clock that moves a second a reading: every call takes one, every ratio is 1."""
    now = iter(range(1000))
    rows = measure(BENCH, BENCH.baseline('contiguous'), 'carafe', PRESETS['carafe'],
                   ['auto', 'reference'], 'contiguous', QUICK, lambda: next(now))
    assert json.loads(json.dumps(rows)) == rows
    assert [(row['backend'], row['pass']) for row in rows] == [
        ('auto', 'forward'), ('reference', 'forward'), ('auto', 'forward+backward'),
        ('reference', 'forward+backward')]
    for row in rows:
        assert (row['preset'], row['memory_format']) == ('carafe', 'contiguous')
        assert row['ratios'] == [1, 1] and row['ratio'] == 1 and row['quartiles'] == [1, 1]
        assert (row['seconds'], row['bilinear_seconds']) == (1, 1)
        assert (row['rounds'], row['calls'], row['spent']) == (2, 2, 2)
        assert row['output_bytes'] == 4 * 32 * 8 * 12
        assert row['peak_bytes'] > row['output_bytes'] <= row['bilinear_peak_bytes']


def test_memory_alone():
    row, _ = measure(BENCH, BENCH.baseline('contiguous'), 'nearest', PRESETS['nearest'], ['auto'],
                     'contiguous', None)
    assert row['peak_bytes'] >= row['output_bytes'] and 'ratio' not in row


def test_what_does_not_fit_has_a_reason():
    bench = UpsamplerBench(channels=6, size=(4, 4))
    row, = measure(bench, bench.baseline('contiguous'), 'dysample', PRESETS['dysample'], ['auto'],
                   'contiguous', QUICK)
    assert 'divisible by groups' in row['refused'] and 'pass' not in row


def test_second_run_goes_on(tmp_path):
    """What is in the file is not measured again, and each upsampler is written when it is done."""
    file = tmp_path / 'a.json'

    def run(names, backends=('auto', )):
        results = Results.resume(file, BENCH.conditions)
        for rows in measure_all(BENCH, results, {name: PRESETS[name] for name in names}, backends,
                                ['contiguous'], QUICK):
            assert Results.load(file).rows[-len(rows):] == rows
            yield rows[0]['preset'], [row['backend'] for row in rows]
    first = run(['nearest', 'bilinear'])
    assert next(first) == ('nearest', ['auto'] * 2)
    first.close()
    assert list(run(['nearest', 'bilinear'])) == [('bilinear', ['auto'] * 2)]
    assert list(run(['nearest'], ['auto', 'reference'])) == [('nearest', ['reference'] * 2)]
    assert list(run(['nearest', 'bilinear'])) == []


GROWTH = Growth(UpsamplerBench(channels=16, size=(8, 4), guide_channels=8))


def test_points_of_growth():
    axes = GROWTH.axes
    assert [(b.channels, b.size) for b in axes['size']] == [
        (16, (2, 1)), (16, (4, 2)), (16, (8, 4)), (16, (16, 8)), (16, (32, 16))]
    assert [(b.channels, b.size) for b in axes['channels']] == [
        (channels, (8, 4)) for channels in (2, 4, 8, 16, 32, 64)]
    assert [b.guide_channels for b in axes['channels']] == [1, 2, 4, 8, 16, 32]
    paper = Growth(UpsamplerBench()).axes
    assert [b.size[0] for b in paper['size']] == [30, 60, 120, 240, 480]
    assert [b.channels for b in paper['channels']] == [32, 64, 128, 256, 512, 1024]


def test_growth(tmp_path):
    """Ten points, of which one is on both axes; rows of both passes; curves from them."""
    results = Results.resume(tmp_path / 'a.json', {})
    args = GROWTH, results, {'nearest': PRESETS['nearest']}, ['auto'], ['contiguous'], QUICK
    rows, = grow_all(*args)
    assert len(rows) == 2 * 10 and list(grow_all(*args)) == []
    assert {row['elements'] for row in rows} == {
        4 * row['channels'] * row['size'][0] * row['size'][1] for row in rows}
    found = curves(GROWTH, Results.load(tmp_path / 'a.json').rows)
    assert {key: [len(points) for points in lines.values()] for key, lines in found.items()} == {
        (kind, axis): [count] for kind in ('forward', 'forward+backward')
        for axis, count in (('size', 5), ('channels', 6))}
    assert found['forward', 'channels'].keys() == {'nearest, auto, contiguous'}


def test_growth_passes_by_what_is_too_large(monkeypatch):
    """With calls of a second at 2x1 and in proportion beyond, 5 seconds are enough for 4x2."""
    def seconds(bench, base, preset, *rest):
        elements = bench.channels * bench.size[0] * bench.size[1]
        return [{'preset': preset, 'pass': 'forward', 'seconds': elements / 32, 'peak_bytes': 1}]
    monkeypatch.setattr('mmups.analysis.growth.measure', seconds)
    rows = list(grow(GROWTH, 'nearest', PRESETS['nearest'], 'auto', 'contiguous', Effort()))
    refused = {(row['channels'], *row['size']): row.get('refused') for row in rows}
    assert refused[16, 2, 1] is refused[16, 4, 2] is refused[4, 8, 4] is None
    assert refused[16, 8, 4] == 'a call would take about 16 s, the budget is 5 s'
    assert refused[64, 8, 4] == 'a call would take about 64 s, the budget is 5 s'


def test_too_large_for_memory():
    rows = [dict(seconds=1e-3, peak_bytes=2**30)]
    assert too_large(rows, 10, 40, Effort(), 9 * 2**30) is None
    assert too_large(rows, 10, 40, Effort(), None) is None
    assert too_large(rows, 10, 50, Effort(), 9 * 2**30) == (
        'it would take about 5.0 GiB, 9.0 GiB are free')


@pytest.mark.parametrize('power', [0.5, 1, 1.5])
def test_exponent(power):
    sizes = [30, 60, 480]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_exponents():
    assert exponent([5], [1]) is None
    assert exponents(dict(a=[(1, 2), (10, 20)], b=[(1, 1)])) == dict(a=1, b=None)


def test_exponent_is_the_best_fit():
    """numpy's least squares."""
    import numpy as np
    sizes, times = [1., 2., 4., 8.], [1., 3., 3., 9.]
    slope, _ = np.polyfit(np.log(sizes), np.log(times), 1)
    assert exponent(sizes, times) == pytest.approx(slope)


def test_hotspots():
    """Of a product of large matrices, the product; shares and calls are of one call."""
    x = torch.rand(300, 300)
    found = hotspots(lambda: (x @ x) @ x, torch.device('cpu'), count=2, repeats=4)
    assert len(found) == 2
    assert found[0].name == 'aten::mm' and found[0].calls == 2
    assert 0 < found[1].share < found[0].share <= 1


@pytest.mark.parametrize(('change', 'message'), [
    (dict(channels=0), 'got 1, 0, 256, 120, 120'), (dict(size=(4, -1)), '4, -1'),
    (dict(batch=0), 'got 0'), (dict(device='nowhere'), "'nowhere' cannot be used")])
def test_refused_benches(change, message):
    with pytest.raises(ValueError, match=message):
        UpsamplerBench(**change)


@pytest.mark.parametrize('bench', [UpsamplerBench(channels=4), UpsamplerBench(size=(3, 8)),
                                   UpsamplerBench(guide_channels=4)],
                         ids=['channels', 'size', 'guide'])
def test_refused_growth(bench):
    with pytest.raises(ValueError, match='growth needs 8 channels, 8 of the guide'):
        Growth(bench)


def test_refused_backends():
    cpu = checked_device('cpu')
    for name in ('auto', 'reference'):
        check_backend(name, cpu)
    with pytest.raises(ValueError, match="no backend 'fast'"):
        check_backend('fast', cpu)
    with pytest.raises(ValueError, match="'mmcv' (computes nothing on cpu|cannot be used here)"):
        check_backend('mmcv', cpu)
