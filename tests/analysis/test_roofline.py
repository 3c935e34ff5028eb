"""The model's multiply-adds against the counter's, its bytes against tensors, its page."""
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmups import ops, presets
from mmups.analysis import H100, Maps, count_macs, predict, roofline, roofline_steps
from mmups.analysis.roofline import steps
from mmups.analysis.roofline_steps import GPU, Step
from mmups.models import build_upsampler, registered_upsamplers

ROOT = Path(__file__).parents[2]
PRESETS = presets()
MAPS = Maps(2, 128, 6, 10)


def numbers_missed(name):
    """What mmengine leaves out: the channels of a matrix product whose first factor has none."""
    if name != 'a2u':
        return 0
    row = 6 * 2 * MAPS.height * 2 * MAPS.width
    return (MAPS.batch * MAPS.channels - 1) * row


@pytest.mark.parametrize('name', PRESETS)
def test_multiply_adds_of_presets(name):
    """To 2 %: the reference multiplies coordinates besides, by the size of the map."""
    module = build_upsampler(PRESETS[name], MAPS.channels, MAPS.channels)
    coarse = torch.zeros(MAPS.batch, MAPS.channels, MAPS.height, MAPS.width)
    guide = torch.zeros(MAPS.batch, MAPS.channels, 2 * MAPS.height, 2 * MAPS.width)
    counted = count_macs(module, (coarse, guide) if module.guided else (coarse, ))
    predicted = sum(step.macs for step in steps(PRESETS[name], MAPS))
    assert predicted == pytest.approx(counted + numbers_missed(name), rel=0.02)


def test_every_method_has_formulas():
    assert roofline.FORMULAS.keys() == registered_upsamplers().keys()


@pytest.mark.parametrize('cfg', [
    dict(type='LCTC', groups=1), dict(type='SAPADeform', high_offset=False),
    dict(type='LDAAQU', groups=1, encoder_kernel=5), dict(type='DLU', up_kernel=3),
    dict(type='IndexNet', mode='o2o'), dict(type='CARAFE', up_group=2),
    dict(type='FreqFusion', similarity='only'), dict(type='NAF')])
def test_multiply_adds_of_other_arguments(cfg):
    module = build_upsampler(cfg, 32, 32)
    inputs = (torch.zeros(1, 32, 6, 10), torch.zeros(1, 32, 12, 20))[:1 + module.guided]
    predicted = sum(step.macs for step in steps(cfg, Maps(1, 32, 6, 10)))
    assert predicted == pytest.approx(count_macs(module, inputs), rel=0.02)


N, C, H, W, G, D, P, K = 2, 8, 3, 5, 2, 6, 4, 3


def maps_of(*shape):
    return torch.zeros(N, *shape)


@pytest.mark.parametrize(('step', 'operator', 'tensors', 'rest', 'per_output'), [
    (roofline_steps.sample_dynamic, ops.sample_dynamic,
     (maps_of(C, H, W), maps_of(2 * G * 4, H, W)), dict(groups=G), 4),
    (roofline_steps.reassemble, ops.reassemble,
     (maps_of(C, H, W), maps_of(G * K * K * 4, H, W)), dict(kernel_size=K, groups=G), K * K),
    (roofline_steps.query_key, ops.query_key,
     (maps_of(D, 2 * H, 2 * W), maps_of(D, H, W)), dict(kernel_size=K), D),
    (roofline_steps.clamped_attention, ops.clamped_attention,
     (maps_of(D, 2 * H, 2 * W), maps_of(D, H, W), maps_of(C, H, W)),
     dict(kernel_size=K, groups=G), K * K * (D + C) / C),
    (roofline_steps.deform_query_key, ops.deform_query_key,
     (maps_of(D, 2 * H, 2 * W), maps_of(D, H, W), maps_of(2 * G * P, 2 * H, 2 * W)),
     dict(groups=G), 5 * D // G),
    (roofline_steps.deform_attend, ops.deform_attend,
     (maps_of(G, P, 2 * H, 2 * W), maps_of(C, H, W), maps_of(2 * G * P, 2 * H, 2 * W)), {}, 5 * P),
    (roofline_steps.attend_neighbours, ops.attend_neighbours,
     (maps_of(K * K, 2 * H, 2 * W), maps_of(C, H, W)), {}, 5 * K * K),
    (roofline_steps.depthwise_transposed, ops.depthwise_transposed,
     (maps_of(C, H, W), torch.zeros(C, 1, K, K), torch.zeros(C)), {}, K * K / 4),
], ids=lambda value: getattr(value, '__name__', ''))
def test_bytes_and_multiply_adds_of_operators(step, operator, tensors, rest, per_output):
    """Every tensor that goes in and comes out, once (biases apart); products by hand."""
    known = dict(kernel_size=K, groups=G, embedding=D, embeddings=D, points=P, scale_factor=2,
                 taps=K * K)
    names = step.__code__.co_varnames[1:step.__code__.co_argcount]
    found = step(Maps(N, C, H, W), **{name: known[name] for name in names})
    out = operator(*tensors, **rest)
    assert found.bytes == 4 * sum(x.numel() for x in (*tensors, out) if x.dim() > 1)
    assert found.macs == per_output * out.numel()


def test_convolutions():
    """Strided, in groups, transposed; by hand."""
    maps = Maps(1, 8, 3, 5)
    strided = roofline_steps.convolution(maps, torch.zeros(6, 8, 4, 4), inputs=60, outputs=15)
    assert (strided.macs, strided.bytes) == (15 * 6 * 8 * 16, 4 * (60 * 8 + 15 * 6 + 6 * 8 * 16))
    grouped = roofline_steps.convolution(maps, torch.zeros(8, 2, 3, 3), 15, 15, groups=4)
    assert (grouped.macs, grouped.bytes) == (15 * 8 * 2 * 9, 4 * (15 * 8 * 2 + 8 * 2 * 9))
    transposed = roofline_steps.convolution(maps, torch.zeros(8, 8, 3, 3), inputs=15, outputs=60)
    assert transposed.macs == 15 * 8 * 8 * 9
    assert strided.dense and transposed.dense and not grouped.dense


def test_time_is_that_of_the_slower_half():
    gpu = GPU('', bandwidth=10, vector=5, matrix=50)
    assert Step('', macs=10, bytes=100).seconds(gpu, 4) == 10
    assert Step('', macs=100, bytes=100).seconds(gpu, 4) == 20
    assert Step('', macs=100, bytes=100, dense=True).seconds(gpu, 4) == 20
    assert Step('', macs=1000, bytes=100, dense=True).seconds(gpu, 2) == 20
    assert Step('', macs=1000, bytes=100).seconds(gpu, 2) == 200


@pytest.mark.parametrize('name', PRESETS)
def test_growth(name):
    """Proportional to the images and, but for A2U's 6x6 cells, to the pixels; a matrix product,
    which FreqAvgUp has besides a convolution, also to the length of a row."""
    def macs(maps):
        return sum(step.macs for step in steps(PRESETS[name], maps))
    assert macs(replace(MAPS, batch=3 * MAPS.batch)) == 3 * macs(MAPS)
    larger = replace(MAPS, height=2 * MAPS.height, width=2 * MAPS.width)
    assert macs(larger) == (8 if name == 'fft' else 4) * macs(MAPS) or (
        name == 'a2u' and macs(larger) < 4 * macs(MAPS)) or (
        name == 'freq-avg-up' and 4 * macs(MAPS) < macs(larger) < 8 * macs(MAPS))


def test_prediction():
    """Bilinear interpolation by hand, and the names of what takes the time."""
    found = predict(PRESETS['bilinear'], Maps(1, 256, 120, 120))
    assert found.seconds == pytest.approx(4 * 256 * 5 * 120**2 / H100.bandwidth)
    assert (found.ratio, found.half_ratio, found.bytes, found.macs, found.share) == (1, 1, 5, 4, 1)
    found = predict(PRESETS['deconv'], Maps(1, 256, 120, 120))
    assert found.longest == 'convolution' and found.ratio > 5 * found.half_ratio


def test_no_formulas(monkeypatch):
    monkeypatch.delitem(roofline.FORMULAS, 'FADE')
    with pytest.raises(ValueError, match='no formulas for FADE; it has them for Interpolate'):
        steps(dict(type='FADE'), MAPS)


def test_page():
    """docs/scale.md holds what the tool prints."""
    tool = runpy.run_path(str(ROOT / 'tools/benchmark.py'))
    assert tool['roofline_text']() in (ROOT / 'docs/scale.md').read_text(encoding='utf-8')
