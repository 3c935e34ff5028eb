"""A whole model on the bench, with one upsampler after the other in it."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmups.analysis import Effort, measure
from mmups.models import BaseUpsampler

pytest.importorskip('mmseg')

from mmups.engine.cli import read_config  # noqa: E402
from mmups.engine.model_bench import ModelBench  # noqa: E402

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs/segformer/segformer_mit-b0_dysample_1xb8-600it_digit-scenes-128x128.py'
DYSAMPLE = dict(type='DySample')
BILINEAR = dict(type='Interpolate', mode='bilinear')


@pytest.fixture(scope='module')
def bench():
    return ModelBench(str(DEMO), read_config(str(DEMO)), (32, 64))


def test_passes(bench):
    """A prediction of the images' size, and a gradient for every parameter of the upsamplers."""
    passes = bench.candidate(DYSAMPLE, 'contiguous')
    sample, = passes.forward()
    assert sample.pred_sem_seg.data.shape == (1, 32, 64)
    parameters = [name for name, p in bench.model(DYSAMPLE).named_parameters() if p.requires_grad]
    gradients = dict(zip(parameters, passes.training()))
    own = [name for name in gradients if 'upsample_modules' in name]
    assert len(own) == 6 * 2 and all(gradients[name] is not None for name in own)


def test_the_same_work_at_every_call(bench):
    passes = bench.candidate(DYSAMPLE, 'contiguous')
    first, second = passes.training(), passes.training()
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def test_models_differ_in_the_upsamplers_alone(bench):
    base, other = bench.model(BILINEAR), bench.model(dict(type='CARAFE'))
    weights, others = base.state_dict(), other.state_dict()
    assert {name for name in others if name not in weights} == {
        f'decode_head.upsample_modules.{name}' for module in [other.decode_head.upsample_modules]
        for name in module.state_dict()}
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    names = [{type(module).__name__ for module in model.modules()
              if isinstance(module, BaseUpsampler)} for model in (base, other)]
    assert names == [{'Interpolate'}, {'CARAFE'}]


def test_rows(bench):
    rows = measure(bench, bench.baseline('contiguous'), 'dysample', DYSAMPLE, ['auto'],
                   'contiguous', Effort(rounds=1, turn=0.))
    assert [row['pass'] for row in rows] == ['forward', 'forward+backward']
    for row in rows:
        assert row['output_bytes'] is None and row['ratio'] > 0 and row['peak_bytes'] > 0


def test_variants_without_a_baseline():
    """Their weights have the same names and other shapes."""
    bench = ModelBench(str(DEMO), read_config(str(DEMO)))
    first, second = bench.model(DYSAMPLE), bench.model(dict(DYSAMPLE, style='pl', groups=8))
    name = 'decode_head.upsample_modules.0.offset.weight'
    assert first.state_dict()[name].shape != second.state_dict()[name].shape
    name = 'decode_head.fusion_conv.conv.weight'
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])


def test_what_fits_nowhere(bench):
    row, = measure(bench, bench.baseline('contiguous'), 'odd', dict(DYSAMPLE, groups=7), ['auto'],
                   'contiguous', None)
    assert row['preset'] == 'odd' and 'groups=7' in row['refused']


def test_channels_last(bench):
    """The model computes in that format, with the same result."""
    maps = [bench.candidate(DYSAMPLE, name).forward()[0].seg_logits.data
            for name in ('contiguous', 'channels_last')]
    torch.testing.assert_close(*maps)


def test_names_and_conditions(bench):
    """Nothing of the folders of this machine."""
    assert bench.conditions == dict(measured=f'the whole model of {DEMO.name}',
                                    shape=[1, 3, 32, 64], dtype='float32')
    assert bench.stem == f'{DEMO.stem}_3x32x64'


def test_no_weights_are_fetched():
    name = 'mmseg::segformer/segformer_mit-b1_8xb2-160k_ade20k-512x512.py'
    cfg = read_config(name)
    assert 'Pretrained' in str(cfg.model)
    assert 'Pretrained' not in str(ModelBench(name, cfg).cfg.model)
    assert 'Pretrained' in str(cfg.model)


@pytest.mark.parametrize(('cfg', 'more', 'message'), [
    (Config(dict(a=1)), {}, 'x has no model'),
    (Config(dict(model=dict(type='A'))), dict(shape=(0, 8)), 'got 1, 0 and 8'),
    (Config(dict(model=dict(type='A'))), dict(batch=0), 'got 0, 512 and 512'),
    (Config(dict(model=dict(type='A'))), dict(device='nowhere'), "'nowhere' cannot be used")],
    ids=['model', 'shape', 'batch', 'device'])
def test_refused(cfg, more, message):
    with pytest.raises(ValueError, match=message):
        ModelBench('x', cfg, **more)
