"""Every operator on every backend against the loops of ops_oracles.py, forward and backward."""
import pytest
import torch
from ops_oracles import CASES, DTYPES, check, solved, tensors

from mmups import ops
from mmups.ops import backend as backends

PLACES = [
    ('reference', 'cpu'),
    ('native', 'cpu'),
    pytest.param('triton', 'cpu', marks=pytest.mark.triton),
    *(pytest.param(name, 'cuda', marks=pytest.mark.cuda)
      for name in ('reference', 'mmcv', 'triton')),
]
#: For one case of each operator; the others differ in sizes.
SMALL = {operator: case for case, (operator, _) in reversed(list(CASES.items()))}
everywhere = pytest.mark.parametrize(('name', 'device'), PLACES)


@pytest.fixture
def backend():
    """In place of conftest's: each test here names its own."""


def name_of(dtype):
    return str(dtype).partition('.')[2]


@pytest.fixture
def run(name, device):
    """Call an operator on the backend, or skip where it has none; (result, gradients)."""
    if device == 'cuda' and not torch.cuda.is_available():
        pytest.skip('needs a GPU')
    if reason := backends.missing(name):
        pytest.skip(reason)

    def call(operator, args, upstream, dtype, others=None):
        args = [arg.to(device, (others or {}).get(i, dtype)).requires_grad_()
                if isinstance(arg, torch.Tensor) else arg for i, arg in enumerate(args)]
        if not backends.BACKENDS[name].serves(operator, args[0]):
            pytest.skip(f'{name} has no {operator} for {dtype} on {device}')
        with ops.use_backend(name), torch.backends.cudnn.flags(allow_tf32=False):
            chosen = backends.implementation(operator, args[0])
            assert chosen is getattr(backends.BACKENDS[name], operator)
            out = getattr(ops, operator)(*args)
            return out, torch.autograd.grad(out, tensors(args), upstream.to(out))

    return call


@everywhere
@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('dtype', DTYPES, ids=name_of)
def test_equals_loop(name, device, case, dtype, run):
    operator, args, upstream, expected, gradients = solved(case, dtype)
    out, got = run(operator, args, upstream, dtype)
    wide = operator.endswith('query_key') and dtype.itemsize < 4  # logits are float32 at least
    assert out.dtype == (torch.float32 if wide else dtype)
    check(operator, out, expected)
    for ours, loops in zip(got, gradients):
        assert ours.dtype == dtype
        check(operator, ours, loops)


def every_second(x):
    """The same values at every second place of a larger tensor."""
    return torch.stack((x, torch.full_like(x, torch.nan)), dim=-1).flatten(-2)[..., ::2]


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def transposed(x):
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


@everywhere
@pytest.mark.parametrize('layout', [every_second, channels_last, transposed])
@pytest.mark.parametrize('operator', SMALL)
def test_any_strides(name, device, operator, layout, run):
    dtype = torch.float32
    _, args, upstream, expected, gradients = solved(SMALL[operator], dtype)
    args = [layout(arg) if isinstance(arg, torch.Tensor) and arg.dim() > 1 else arg
            for arg in args]
    out, got = run(operator, args, layout(upstream), dtype)
    check(operator, out, expected)
    for ours, loops in zip(got, gradients):
        check(operator, ours, loops)


@everywhere
@pytest.mark.parametrize('operator', SMALL)
def test_empty_batch(name, device, operator, run):
    """Nothing in, nothing out; what the batch shares has a gradient of zero."""
    dtype = torch.float32
    _, args, upstream, expected, _ = solved(SMALL[operator], dtype)
    n = len(expected)
    shared = ('weight', 'bias') if operator == 'depthwise_transposed' else ()
    empty = [arg if not isinstance(arg, torch.Tensor) or (shared and i in (1, 2)) else arg[:0]
             for i, arg in enumerate(args)]
    out, got = run(operator, empty, upstream[:0], dtype)
    assert n > 0 and out.shape == (0, *expected.shape[1:])
    for ours, arg in zip(got, tensors(empty)):
        assert ours.shape == arg.shape and not ours.any()


@everywhere
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=name_of)
def test_weights_in_float32_for_a_map_in_halves(name, device, dtype, run):
    """What autocast brings about: a softmax is float32, the map that it weights is not."""
    operator, (x, kernels, *rest), upstream, expected, gradients = solved('reassemble', dtype)
    out, (x_grad, kernels_grad) = run(operator, (x, kernels, *rest), upstream, dtype,
                                      {1: torch.float32})
    assert (x_grad.dtype, kernels_grad.dtype) == (dtype, torch.float32)
    for ours, loops in zip((out, x_grad, kernels_grad), (expected, *gradients)):
        check(operator, ours, loops)
