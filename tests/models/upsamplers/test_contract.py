"""What every slot may rely on, for everything registered (see conftest.py)."""
import copy
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmups.models import registered_upsamplers

LOW = [torch.float16, torch.bfloat16]


def eps(dtype):
    return torch.finfo(dtype).eps


def replicate(x, size):
    """Pad or crop at the bottom and the right, in NumPy."""
    h, w = x.shape[-2:]
    pad = [(0, 0), (0, 0), (0, max(size[0] - h, 0)), (0, max(size[1] - w, 0))]
    out = np.pad(x.detach().numpy(), pad, mode='edge')[..., :size[0], :size[1]]
    return torch.from_numpy(out.copy())


@pytest.mark.parametrize('s', [1, 2, 3, 4])
@pytest.mark.parametrize('size', [(5, 6), (1, 1), (1, 3), (4, 1)], ids=str)
def test_shape_dtype_and_channels(case, s, size):
    channels = 288 if s in (3, 4) else case.channels  # divisible by 32, 16 and 9
    up = case.build(s, channels).eval()
    x = torch.randn(2, channels, *size)
    guide = torch.randn(2, channels, s * size[0], s * size[1])
    out = up(x, guide)
    assert out.shape == guide.shape
    assert out.dtype == x.dtype
    assert out.isfinite().all()


@pytest.mark.parametrize('size', [(9, 12), (10, 11), (9, 11), (11, 12), (10, 13), (11, 13),
                                  (9, 13), (10, 12)], ids=str)
@pytest.mark.parametrize('through', ['size', 'guide', 'both'])
def test_odd_targets_are_cropped_or_replicated(case, size, through, randomise):
    """Backbones that round up (9 from 5) and down (11 from 5); a resized map would be shifted."""
    up = randomise(case.build()).eval()
    x = torch.randn(2, case.channels, 5, 6)
    guide = torch.randn(2, case.channels, *size)
    if through == 'size' and up.guided:
        pytest.skip('a guided method takes its size from the guide')
    out = up(x, None if through == 'size' else guide, None if through == 'guide' else size)
    if up.any_size and up.guided:
        expected = up(x, replicate(guide, size))
    elif up.any_size:
        expected = F.interpolate(x, size=size, mode=up.mode, align_corners=up.align_corners)
    elif up.guided:
        expected = replicate(up(x, replicate(guide, (10, 12))), size)
    else:
        expected = replicate(up(x), size)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)


def test_size_may_differ_from_the_guide(case):
    up = case.build().eval()
    x, guide = torch.randn(1, case.channels, 5, 6), torch.randn(1, case.channels, 10, 11)
    assert up(x, guide, (9, 12)).shape == (1, case.channels, 9, 12)


@pytest.mark.parametrize('size', [(12, 12), (8, 12), (10, 14), (10, 10), (5, 6)], ids=str)
@pytest.mark.parametrize('through', ['size', 'guide'])
def test_unreachable_size_is_refused(case, size, through):
    up = case.build().eval()
    if up.any_size:
        pytest.skip('reaches any size')
    x, guide = torch.randn(1, case.channels, 5, 6), torch.randn(1, case.channels, *size)
    kwargs = dict(guide=guide) if through == 'guide' else dict(size=size)
    if up.guided:
        kwargs['guide'] = guide
    with pytest.raises(ValueError, match=rf'\(5, 6\) to \(10, 12\).*\({size[0]}, {size[1]}\)'):
        up(x, **kwargs)


@pytest.mark.parametrize('shape', [(1, 17, 5, 6), (1, 5, 6), (1, 1, 5, 6)], ids=str)
def test_wrong_input_is_refused(case, shape):
    up = case.build().eval()
    with pytest.raises(ValueError, match=f'{case.channels}.*{shape[1]}'):
        up(torch.randn(shape), torch.randn(1, case.channels, 10, 12))


@pytest.mark.parametrize('name', ['in_channels', 'scale_factor'])
@pytest.mark.parametrize('value', [0, -1, 1.5, 2.0, True, '2', None])
def test_impossible_dimensions_are_refused(case, name, value):
    args = dict(in_channels=case.channels, scale_factor=2, guide_channels=case.channels)
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        case.cls(**{**args, name: value}, **dict(case.args))


@pytest.mark.parametrize('size', [None, (9, 13)], ids=str)
def test_empty_batch(case, size):
    """Images without a detection: forward, backward, and a (zero) gradient for DDP."""
    up = case.build().train()
    inputs = case.inputs(n=0, requires_grad=True)
    out = up(*inputs, size=size)
    assert out.shape == (0, case.channels, *(size or (10, 12)))
    out.sum().backward()
    assert inputs[0].grad.shape == inputs[0].shape
    for name, parameter in up.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


def test_channels_last_stays(case, randomise):
    up = randomise(case.build()).double().eval()
    inputs = [x.double() for x in case.inputs()]
    out = up(*(x.contiguous(memory_format=torch.channels_last) for x in inputs))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert up(*inputs).is_contiguous()
    torch.testing.assert_close(out, up(*inputs), rtol=1e-10, atol=1e-10)
    fitted = up(*(x.contiguous(memory_format=torch.channels_last) for x in inputs), size=(9, 11))
    assert fitted.is_contiguous(memory_format=torch.channels_last)


def test_channels_last_module(case, randomise):
    up = randomise(case.build()).double().eval()
    inputs = [x.double() for x in case.inputs()]
    expected = up(*inputs)
    up = up.to(memory_format=torch.channels_last)
    torch.testing.assert_close(up(*inputs), expected, rtol=1e-10, atol=1e-10)


def test_strided_input(case):
    """A slice of a bigger map, as necks produce them."""
    up = case.build().eval()
    inputs = case.inputs()
    views = [torch.cat((x, x), dim=-1)[..., :x.shape[-1]] for x in inputs]
    assert not views[0].is_contiguous()
    torch.testing.assert_close(up(*views), up(*inputs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('size', [None, (9, 11)], ids=str)
def test_gradients_are_right(case, size, randomise):
    """Of the input, the guide and every parameter, against finite differences in float64."""
    up = randomise(case.build(), std=0.05).double().eval()
    names, parameters = zip(*up.named_parameters()) if list(up.parameters()) else ((), ())
    inputs = case.inputs(1, 3, 4, dtype=torch.float64, requires_grad=True)
    size = None if size is None else (5, 7)

    def call(*args):
        values = dict(zip(names, args))
        return torch.func.functional_call(up, values, args[len(names):], dict(size=size))

    assert torch.autograd.gradcheck(call, (*parameters, *inputs), fast_mode=True)


def test_every_parameter_receives_a_gradient(case):
    """From the first step on; DDP without find_unused_parameters relies on it."""
    up = case.build().train()
    if not list(up.parameters()):
        pytest.skip('has no parameters')
    out = up(*case.inputs())
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in up.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if parameter.dim() > 1 and name not in case.late:
            assert parameter.grad.any(), name


def test_samples_are_independent(case, randomise):
    """A sample of NaN leaves its neighbour as it was; in training as well, but for batch norm."""
    up = randomise(case.build()).eval()
    inputs = case.inputs()
    before = up(*inputs)[0].clone()
    for x in inputs:
        x[1] = torch.nan
    assert torch.equal(up(*inputs)[0], before)
    for x in inputs:
        x[1] = torch.randn_like(x[1])
    torch.testing.assert_close(up(*inputs)[0], before, rtol=1e-6, atol=1e-6)


def test_input_is_not_written_to(case):
    up = case.build().eval()
    inputs = case.inputs()
    copies = [x.clone() for x in inputs]
    up(*inputs, size=(9, 11))
    for x, clone in zip(inputs, copies):
        assert torch.equal(x, clone)


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda up: pickle.loads(pickle.dumps(up))],
                         ids=['deepcopy', 'pickle'])
def test_copies_are_equal_and_apart(case, duplicate, randomise):
    up = randomise(case.build()).eval()
    twin = duplicate(up)
    inputs = case.inputs()
    assert torch.equal(twin(*inputs), up(*inputs))
    assert not {p.data_ptr() for p in up.parameters()} & {p.data_ptr() for p in twin.parameters()}


def test_state_dict_round_trip(case, randomise):
    up, other = randomise(case.build()).eval(), case.build().eval()
    other.load_state_dict(up.state_dict(), strict=True)
    inputs = case.inputs()
    assert torch.equal(other(*inputs), up(*inputs))


def test_init_weights_is_idempotent(case):
    """The same draw, whatever the weights were before and however often it was called."""
    up = case.build()
    states = []
    for value in (7.0, -3.0):
        for parameter in up.parameters():
            nn.init.constant_(parameter, value)
        torch.manual_seed(1)
        up.init_weights()
        states.append({k: v.clone() for k, v in up.state_dict().items()})
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name


@pytest.mark.parametrize('distribution', ['uniform', 'normal'])
def test_initialisation_survives_a_xavier_parent(case, distribution):
    """mmdet's FPN would turn DySample's 0.001 into 0.083."""

    class Neck(BaseModule):

        def __init__(self):
            super().__init__(dict(type='Xavier', layer=['Conv2d', 'ConvTranspose2d', 'Linear'],
                                  distribution=distribution))
            self.upsample_modules = ModuleList([case.build(channels=64)])
            self.conv = nn.Conv2d(64, 64, 1)

    neck, fresh, another = Neck(), case.build(channels=64), case.build(channels=64)
    before = neck.conv.weight.clone()
    neck.init_weights()
    assert not torch.equal(neck.conv.weight, before)  # the parent did initialise
    for name, parameter in neck.upsample_modules[0].named_parameters():
        expected, n = fresh.get_parameter(name), parameter.numel()
        if torch.equal(expected, another.get_parameter(name)):
            assert torch.equal(parameter, expected), name
        elif n > 1:
            # Two samples of n numbers: the ratio of their deviations varies by about 1/sqrt(n).
            ratio = (parameter.std() / expected.std()).item()
            assert abs(ratio - 1) < 5 / n**0.5, name


def test_users_init_cfg_has_the_last_word(case):
    up = case.build()
    layers = {type(m).__name__ for m in up.modules()
              if isinstance(getattr(m, 'weight', None), nn.Parameter)}
    if not layers:
        pytest.skip('has no weights')
    init_cfg = dict(type='Constant', val=0.5, bias=0.25, layer=sorted(layers))
    up = case.build(init_cfg=init_cfg)
    for _ in range(3):
        for name, parameter in up.named_parameters():
            if name.endswith(('weight', 'bias')):  # a table belongs to no layer
                assert (parameter == (0.25 if name.endswith('bias') else 0.5)).all(), name
            nn.init.ones_(parameter)
        up.init_weights()


def test_repr_tells_the_arguments(case):
    text = repr(case.build(3, channels=288))
    assert text.startswith(case.name)
    assert '288, scale_factor=3' in text
    if case.cls.guided:
        assert 'guide_channels=288' in text


@pytest.mark.parametrize('dtype', LOW, ids=str)
@pytest.mark.parametrize('mode', ['cast', 'autocast', 'autocast-float32-input'])
def test_low_precision(case, dtype, mode, randomise):
    """Close to float32 with the same rounded numbers; the output has the input's dtype."""
    up = randomise(case.build(), std=0.1).eval()
    inputs = [x.to(dtype) for x in case.inputs()]
    with torch.no_grad():
        for parameter in up.parameters():
            parameter.copy_(parameter.to(dtype))
    expected = up(*(x.float() for x in inputs))
    if mode == 'cast':
        out = up.to(dtype)(*inputs)
    else:
        if mode == 'autocast-float32-input':
            inputs = [x.float() for x in inputs]
        with torch.autocast('cpu', dtype):
            out = up(*inputs)
    assert out.dtype == inputs[0].dtype
    assert out.isfinite().all()
    # Rounding of a few layers in sequence, relative to the largest value.
    assert (out.float() - expected).abs().max() <= 4 * eps(dtype) * expected.abs().max()


@pytest.mark.parametrize('dtype', LOW, ids=str)
def test_low_precision_trains(case, dtype, randomise):
    up = randomise(case.build(), std=0.1).to(dtype)
    inputs = case.inputs(dtype=dtype, requires_grad=True)
    up(*inputs, size=(9, 11)).sum().backward()
    for tensor in (*inputs, *up.parameters()):
        assert tensor.grad.dtype == dtype
        assert tensor.grad.isfinite().all()


def test_activation_checkpointing(case, randomise):
    """What is recomputed in the backward pass has the same gradients."""
    up, grads = randomise(case.build(), std=0.1), []
    inputs = case.inputs(requires_grad=True)
    variables, upstream = [*inputs, *up.parameters()], torch.randn(2, case.channels, 9, 11)
    for run in (up, partial(checkpoint, up, use_reentrant=False)):
        grads.append(torch.autograd.grad(run(*inputs, size=(9, 11)), variables, upstream))
    assert all(map(torch.equal, *grads))


#: Prints the names of those whose parameters learn as on contiguous maps. No map needs a gradient.
FROZEN = '''
import torch
from mmups.models import build_upsampler, registered_upsamplers
for name in registered_upsamplers():
    torch.manual_seed(0)
    up = build_upsampler(dict(type=name), 32, guide_channels=3 if name == 'NAF' else 32)
    up.init_weights()
    parameters = [p.requires_grad_() for p in up.parameters()]
    maps, grads = (torch.randn(2, 32, 5, 6), torch.randn(2, up.guide_channels, 10, 12)), []
    for form in (torch.contiguous_format, torch.channels_last):
        out = up(*(x.to(memory_format=form) for x in maps))
        grads.append(torch.autograd.grad(out.square().sum(), parameters) if parameters else ())
    for one, other in zip(*grads):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    print(name, flush=True)
'''


def test_behind_a_frozen_backbone():
    """In channels_last, too, where PyTorch's group norm would end the process: hence one apart."""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', FROZEN], capture_output=True,
                          text=True)
    assert done.stdout.split() == list(registered_upsamplers()), done.stderr[-2000:]
