"""Models of one seed begin with the same weights and see the same images."""
import zlib

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import set_random_seed

pytest.importorskip('mmseg')

from comparison_cases import comparison_in, tiny  # noqa: E402

from mmups.engine.cli import build_runner  # noqa: E402
from mmups.engine.comparison.run import named  # noqa: E402
from mmups.engine.pairing import build_model, share, shared_state, start_alike  # noqa: E402
from mmups.engine.variant import BILINEAR  # noqa: E402
from mmups.models import BaseUpsampler  # noqa: E402
from mmups.swap import swap_upsampler  # noqa: E402


class Notes(Hook):
    """The weights at the start, and the bytes of every batch."""

    def __init__(self):
        self.weights, self.batches = None, []

    def before_train(self, runner):
        self.weights = {key: value.clone() for key, value in runner.model.state_dict().items()}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches += [zlib.crc32(image.numpy().tobytes()) for image in data_batch['inputs']]


def started(comparison, upsampler, seed, **more):
    """What a run of two iterations began with."""
    run = comparison.run(upsampler, seed)
    cfg = comparison.config_of(run)
    cfg.merge_from_dict(more)
    runner = build_runner(named(cfg, 'train'))
    start_alike(runner, comparison.baseline_of(run), seed)
    notes = Notes()
    runner.register_hook(notes)
    runner.train()
    own = tuple(f'{name}.' for name, module in runner.model.named_modules()
                if isinstance(module, BaseUpsampler))
    notes.own = {key for key in notes.weights if key.startswith(own)}
    return notes


@pytest.mark.parametrize('workers', [0, 2])
def test_same_seed(workers, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(scenes)
    cfg = tiny(**{'train_cfg.max_iters': 2, 'train_dataloader.num_workers': workers})
    comparison = comparison_in(tmp_path, ('bilinear', 'carafe'), (3, 4), cfg)
    base, notes = (started(comparison, name, 3) for name in comparison.upsamplers)
    another = started(comparison, 'carafe', 4)
    assert not base.own and len(set(base.batches)) == 4
    assert notes.own and notes.batches == base.batches
    common = notes.weights.keys() - notes.own
    assert common == base.weights.keys()
    assert all(torch.equal(notes.weights[key], base.weights[key]) for key in common)
    assert another.batches != base.batches
    assert any(not torch.equal(another.weights[key], base.weights[key]) for key in base.weights)


def test_variants_of_the_same_seed(scenes, tmp_path, monkeypatch):
    """The model as it is, and one with other layers, begin with all that they have in common."""
    monkeypatch.chdir(scenes)
    comparison = comparison_in(
        tmp_path, ('bilinear', 'stock'), (3, ), tiny(**{'train_cfg.max_iters': 2}),
        variants=[('wide', 'bilinear', {'model.decode_head.channels': 16})])
    base, stock, wide = (started(comparison, name, 3) for name in comparison.upsamplers)
    assert base.batches == stock.batches == wide.batches
    # the config of the tests has bilinear interpolation already
    assert base.weights.keys() == stock.weights.keys() == wide.weights.keys()
    assert all(torch.equal(weight, stock.weights[key]) for key, weight in base.weights.items())
    other = {key for key, weight in base.weights.items()
             if weight.shape != wide.weights[key].shape}
    assert other and all(key.startswith('decode_head.') for key in other)
    assert all(torch.equal(base.weights[key], wide.weights[key])
               for key in base.weights.keys() - other)


def test_why_it_is_needed():
    """Built and initialised under one seed, a model with an upsampler that draws random numbers
    differs from the baseline in more than the upsampler."""
    states = []
    for upsampler in (BILINEAR.upsampler, dict(type='CARAFE')):
        set_random_seed(3)
        model = build_model(swap_upsampler(tiny(), upsampler))
        model.init_weights()
        states.append(shared_state(model))
    first, second = states
    assert first.keys() == second.keys()
    assert any(not torch.equal(first[key], second[key]) for key in first)
    share(model, first)
    assert all(torch.equal(first[key], value) for key, value in shared_state(model).items())


def test_checkpoints_are_loaded_over_it(scenes, tmp_path, monkeypatch):
    """Weights of load_from; those that it lacks are the paired ones."""
    monkeypatch.chdir(scenes)
    comparison = comparison_in(tmp_path / 'out', ('bilinear', 'dysample'), (3, ),
                               tiny(**{'train_cfg.max_iters': 1}))
    base = started(comparison, 'bilinear', 3)
    some = {key: value + 1 for key, value in base.weights.items() if key.startswith('backbone.enc')
            and value.is_floating_point()}
    assert 0 < len(some) < len(base.weights)
    torch.save(some, tmp_path / 'pretrained.pth')
    notes = started(comparison, 'dysample', 3, load_from=str(tmp_path / 'pretrained.pth'))
    for key, value in base.weights.items():
        assert torch.equal(notes.weights[key], some.get(key, value)), key


def test_weights_are_initialised_once(scenes, tmp_path, monkeypatch):
    """Models of the DETR family initialise parts of theirs whenever they are asked to."""
    monkeypatch.chdir(scenes)
    comparison = comparison_in(tmp_path, ('bilinear', ), (3, ))
    run = comparison.run('bilinear', 3)
    runner = build_runner(named(comparison.config_of(run), 'train'))
    asked = []
    inherited = type(runner.model).init_weights
    monkeypatch.setattr(type(runner.model), 'init_weights',
                        lambda self: (asked.append(self), inherited(self))[1])
    start_alike(runner, comparison.baseline_of(run), 3)
    before = shared_state(runner.model)
    runner._init_model_weights()
    assert asked.count(runner.model) == 1
    assert all(torch.equal(value, before[key])
               for key, value in runner.model.state_dict().items())


def test_what_has_another_shape_stays():
    first = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    second = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    before = second[1].weight.clone()
    share(second, shared_state(first))
    assert torch.equal(second[0].weight, first[0].weight)
    assert torch.equal(second[1].weight, before)


def test_a_model_is_built_in_its_own_scope():
    set_random_seed(0)
    cfg = tiny()
    assert cfg.default_scope == 'mmseg'
    assert type(build_model(cfg)).__module__.startswith('mmseg')
