"""What is peculiar to the Triton kernels; test_loops.py compares their numbers with loops."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ops_oracles import (
    CASES,
    OF_POINTS,
    check,
    grid_sample_differentiates_twice,
    solved,
    tensors,
)

from mmups import ops
from mmups.ops import backend as backends
from mmups.ops.backends import reference, triton

ROOT = Path(__file__).parents[2]
SMALL = {operator: case for case, (operator, _) in reversed(list(CASES.items()))}


@pytest.fixture
def backend():
    """In place of conftest's: there is one backend here."""


@pytest.fixture(params=[pytest.param('cpu', marks=pytest.mark.triton),
                        pytest.param('cuda', marks=pytest.mark.cuda)])
def device(request):
    """The backend is in force on this device: interpreted on a CPU."""
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('needs a GPU')
    if reason := backends.missing('triton'):
        pytest.skip(reason)
    if request.param == 'cpu' and not triton.INTERPRETED:
        pytest.skip('triton compiles here; TRITON_INTERPRET=1 lets the CPU interpret')
    with ops.use_backend('triton'):
        yield request.param


def draw(device, *shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, device=device, requires_grad=True)


def tiny(device):
    """Operator -> a function and its tensors, as small as makes a difference."""
    def of(*shape):
        return draw(device, *shape)

    return {
        'sample_dynamic': (lambda x, o: ops.sample_dynamic(x, o, 2, 1),
                           (of(1, 2, 2, 2), of(1, 8, 2, 2))),
        'reassemble': (lambda x, k: ops.reassemble(x, k, 3, 2, 1),
                       (of(1, 2, 1, 2), of(1, 18, 1, 2))),
        'query_key': (lambda q, k: ops.query_key(q, k, 3, 2), (of(1, 1, 2, 4), of(1, 1, 1, 2))),
        'deform_query_key': (lambda q, k, o: ops.deform_query_key(q, k, o, 1, 2),
                             (of(1, 2, 2, 4), of(1, 2, 1, 2), of(1, 4, 2, 4))),
        'deform_attend': (lambda a, v, o: ops.deform_attend(a, v, o, 2),
                          (of(1, 1, 2, 2, 4), of(1, 2, 1, 2), of(1, 4, 2, 4))),
        'depthwise_transposed': (lambda x, w, b: ops.depthwise_transposed(x, w, b, 2),
                                 (of(1, 2, 1, 2), of(2, 1, 3, 3), of(2))),
    }


@pytest.mark.parametrize('operator', triton.OPERATORS)
def test_derivatives_by_finite_differences(device, operator):
    """First and second ones."""
    function, inputs = tiny(device)[operator]
    assert torch.autograd.gradcheck(function, inputs, nondet_tol=1e-12, fast_mode=True)
    if operator in OF_POINTS and not grid_sample_differentiates_twice():
        pytest.skip('no second derivative of grid_sample in this PyTorch')
    assert torch.autograd.gradgradcheck(function, inputs, nondet_tol=1e-12, fast_mode=True)


@pytest.mark.parametrize('operator', OF_POINTS)
def test_gradient_with_a_graph_is_the_same(device, operator):
    """It takes another way: the kernels have no second derivative in the points."""
    function, inputs = tiny(device)[operator]
    plain = torch.autograd.grad(function(*inputs).square().sum(), inputs)
    first = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
    for ours, same in zip(first, plain):
        torch.testing.assert_close(ours, same, rtol=1e-12, atol=1e-12)
    one = [inputs[0], *(t.detach() for t in inputs[1:])]
    alone, = torch.autograd.grad(function(*one).square().sum(), one[0], create_graph=True)
    torch.testing.assert_close(alone, plain[0], rtol=1e-12, atol=1e-12)


CHECKED = {
    'attend': lambda of: (of(1, 2, 4, 4), of(1, 2, 2, 2), of(1, 4, 4, 4), 2, 1, 2, torch.float32),
    'attend-border': lambda of: (None, of(1, 2, 2, 2), of(1, 8, 2, 2), 1, 1, 2, torch.float32),
    'score': lambda of: (of(1, 2, 4, 4), of(1, 2, 2, 2), of(1, 4, 4, 4), 2, 1, 2, torch.float32),
    'spread': lambda of: (of(1, 2, 4, 4), of(1, 2, 4, 4), of(1, 2, 2, 2), of(1, 4, 4, 4), 2, 1, 2,
                          True, True),
    'spread-map': lambda of: (of(1, 2, 4, 4), None, of(1, 2, 2, 2), of(1, 8, 2, 2), 1, 1, 2,
                              True, False),
    'reassemble': lambda of: (of(1, 2, 2, 2), of(1, 36, 2, 2), 3, 1, 2, torch.float32),
    'query_key': lambda of: (of(1, 2, 4, 4), of(1, 2, 2, 2), 3, 2, 2, torch.float32),
    'reassemble_adjoint': lambda of: (of(1, 2, 4, 4), of(1, 36, 2, 2), 3, 1, 2, torch.float32),
    'depthwise_transposed': lambda of: (of(1, 2, 2, 2), of(2, 1, 3, 3), of(2), 2),
}


@pytest.mark.parametrize('case', CHECKED)
def test_registration(device, case):
    """Schema, shapes without data, gradients: as PyTorch's compiler relies on them."""
    args = CHECKED[case](lambda *shape: draw(device, *shape, dtype=torch.float32))
    if case.startswith('spread'):  # has no gradient
        args = [arg.detach() if isinstance(arg, torch.Tensor) else arg for arg in args]
    name = case.partition('-')[0]
    torch.library.opcheck(getattr(torch.ops.mmups_triton, name).default, args)


@pytest.mark.parametrize('operator', triton.OPERATORS)
@pytest.mark.parametrize('autocast', [False, True])
def test_the_compiler_finds_the_kernels(device, operator, autocast):
    """And not the reference, whose numbers are the same."""
    function, inputs = tiny(device)[operator]
    targets = []

    def look(graph, _):
        targets.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        torch.compile(function, fullgraph=True, backend=look)(*inputs)
    torch._dynamo.reset()
    assert sum('mmups_triton' in name for name in targets) == 1


@pytest.mark.parametrize('last', [False, True], ids=['contiguous', 'channels_last'])
def test_whole_graph_compiles(device, last):
    def model(x, offset, kernels):
        fine = ops.sample_dynamic(x * 2, offset, 2, 2)
        return ops.reassemble(x, kernels.softmax(1), 3).relu() + fine

    def of(*shape):
        x = draw(device, *shape, dtype=torch.float32)
        return x.detach().contiguous(memory_format=torch.channels_last).requires_grad_() \
            if last else x

    inputs = of(1, 4, 3, 4), of(1, 16, 3, 4), of(1, 36, 3, 4)
    expected, out = model(*inputs), torch.compile(model, fullgraph=True, backend='aot_eager')(
        *inputs)
    assert out.stride() == expected.stride()
    assert out.is_contiguous(
        memory_format=torch.channels_last if last else torch.contiguous_format)
    upstream = torch.randn_like(out)
    for ours, eager in zip((out, *torch.autograd.grad(out, inputs, upstream)),
                           (expected, *torch.autograd.grad(expected, inputs, upstream))):
        torch.testing.assert_close(ours, eager, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('operator', triton.OPERATORS)
def test_many_tiles(device, operator, monkeypatch):
    """Several blocks of pixels, of channels and of taps, none of them full."""
    from mmups.ops.backends import triton_ops
    monkeypatch.setattr(triton_ops, 'TILE', 128)
    monkeypatch.setattr(triton_ops, 'CHANNELS', 4)
    shapes = {
        'sample_dynamic': ([(1, 10, 3, 5), (1, 16, 3, 5)], (2, 2)),
        'reassemble': ([(1, 10, 3, 5), (1, 72, 3, 5)], (3, 2, 2)),
        'query_key': ([(1, 3, 3, 5), (1, 3, 3, 5)], (7, 1)),
        'deform_query_key': ([(1, 10, 6, 10), (1, 10, 3, 5), (1, 4, 6, 10)], (2, 2)),
        'deform_attend': ([(1, 2, 1, 6, 10), (1, 10, 3, 5), (1, 4, 6, 10)], (2, )),
        'depthwise_transposed': ([(1, 6, 3, 5), (6, 1, 3, 3), (6, )], (2, )),
    }
    sizes, options = shapes[operator]
    inputs = [draw(device, *size) for size in sizes]
    out = getattr(ops, operator)(*inputs, *options)
    expected = getattr(reference, operator)(*inputs, *options)
    upstream = torch.randn_like(expected)
    for ours, theirs in zip((out, *torch.autograd.grad(out, inputs, upstream)),
                            (expected, *torch.autograd.grad(expected, inputs, upstream))):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_coordinates_that_are_not_finite_clamp(device):
    """Sampling: NaN as the first row or column, the rest as the border; no gradient."""
    far = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, -1e30, 3e9])
    x = draw(device, 1, 2, 1, 6)
    offset = torch.stack((far, torch.zeros(6))).reshape(1, 2, 1, 6).double().to(device)
    offset.requires_grad_()
    out = ops.sample_dynamic(x, offset, 1, 1)
    columns = [0, 5, 0, 5, 0, 5]
    assert torch.equal(out, x[..., columns])
    x_grad, offset_grad = torch.autograd.grad(out.sum(), (x, offset))
    assert x_grad[0, 0, 0].tolist() == [3, 0, 0, 0, 0, 3]
    assert not offset_grad.any()


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')  # of the interpreter's NumPy
def test_points_that_are_not_finite_are_seen(device):
    """Deformable attention: NaN and infinity make NaN, what is far away counts as zero."""
    far = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, -1e30, 3e9])
    value = draw(device, 1, 2, 1, 6)
    offset = torch.stack((far, torch.zeros(6))).reshape(1, 2, 1, 6).double().to(device)
    offset.requires_grad_()
    weights = draw(device, 1, 1, 1, 1, 6)
    for out, other in ((ops.deform_attend(weights, value, offset, 1), weights),
                       (ops.deform_query_key(value, value, offset, 1, 1), value)):
        flat = out.flatten(0, -2)
        assert flat[:, :3].isnan().all()
        assert not flat[:, 3:].any()
        value_grad, _ = torch.autograd.grad(out.sum(), (value, offset))
        assert other is value or value_grad.isfinite().all()


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize('case', [case for case, (operator, _) in CASES.items()
                                  if 'sample' in operator or 'deform' in operator])
def test_deterministic_gradients_equal_loop(device, case, deterministic):
    operator, args, upstream, _, gradients = solved(case, torch.float32)
    args = [arg.to(device, torch.float32).requires_grad_() if isinstance(arg, torch.Tensor)
            else arg for arg in args]
    out = getattr(ops, operator)(*args)
    for ours, loops in zip(torch.autograd.grad(out, tensors(args), upstream.to(out)), gradients):
        check(operator, ours, loops)


def test_deterministic_sum_has_no_order(device, deterministic):
    """All points in one pixel, with terms that float32 would lose or keep by their order."""
    x = draw(device, 1, 1, 2, 8, dtype=torch.float32)
    offset = torch.full((1, 8, 2, 8), -100., device=device)
    terms = torch.cat((torch.tensor([1e8, -1e8]), torch.rand(62)))
    for _ in range(3):
        upstream = terms[torch.randperm(64)].reshape(1, 1, 4, 16).to(device)
        gradient, = torch.autograd.grad(ops.sample_dynamic(x, offset), x, upstream)
        expected = terms.double().sum().float()
        assert gradient[0, 0, 0, 0].item() == pytest.approx(expected.item(), rel=1e-7)
        assert gradient.count_nonzero() == 1
    gradient, = torch.autograd.grad(ops.sample_dynamic(x, offset).sum(), x)
    assert gradient[0, 0, 0, 0].item() == 64  # the largest sum that there can be


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_deterministic_gradient_that_is_not_finite_stays_so(device, value, deterministic):
    """GradScaler looks for it."""
    x, offset = draw(device, 1, 1, 2, 2, dtype=torch.float32), torch.zeros(1, 8, 2, 2).to(device)
    upstream = torch.ones(1, 1, 4, 4, device=device)
    upstream[0, 0, 1, 1] = value
    gradient, = torch.autograd.grad(ops.sample_dynamic(x, offset), x, upstream)
    assert not gradient.isfinite().all()
    gradient, = torch.autograd.grad(ops.sample_dynamic(x, offset), x, 0 * torch.ones_like(upstream))
    assert not gradient.any()


@pytest.mark.parametrize('kept', [0, 1])
def test_only_what_is_asked_for(device, kept):
    """A map or offsets without a gradient: the other's is the same."""
    x, offset = draw(device, 1, 2, 2, 3), draw(device, 1, 8, 2, 3)
    both = torch.autograd.grad(ops.sample_dynamic(x, offset).square().sum(), (x, offset))
    inputs = [t if i == kept else t.detach() for i, t in enumerate((x, offset))]
    one, = torch.autograd.grad(ops.sample_dynamic(*inputs).square().sum(), inputs[kept])
    torch.testing.assert_close(one, both[kept], rtol=1e-12, atol=1e-12)


def test_autocast(device):
    """Each operator's dtype is the reference's; convolutions are those that autocast changes."""
    for operator, case in SMALL.items():
        _, args, *_ = solved(case, torch.float32)
        args = [arg.to(device, torch.float32) if isinstance(arg, torch.Tensor) else arg
                for arg in args]
        with torch.autocast(device, torch.bfloat16):
            out, expected = getattr(ops, operator)(*args), getattr(reference, operator)(*args)
        assert out.dtype == expected.dtype, operator
        torch.testing.assert_close(out, expected, rtol=2**-6, atol=2**-3)


def test_a_shape_that_does_not_fit_is_refused(device):
    """A kernel would read beyond its end."""
    x = draw(device, 1, 4, 3, 5)
    with pytest.raises(ValueError, match=r'offset has the shape \(1, 8, 3, 4\); \(1, 8, 3, 5\)'):
        ops.sample_dynamic(x, draw(device, 1, 8, 3, 4))
    with pytest.raises(ValueError, match=r'kernels has the shape .*; \(1, 100, 3, 5\) fits'):
        ops.reassemble(x, draw(device, 1, 36, 3, 5), 5)
    with pytest.raises(ValueError, match=r'x has the shape \(1, 4, 3, 5\); \(1, 3, 3, 5\) fits'):
        ops.reassemble(x, draw(device, 1, 108, 3, 5), 3, 3)
    with pytest.raises(ValueError, match='query has the shape'):
        ops.query_key(draw(device, 1, 4, 6, 9), x, 3)


COMPILE = '''
import sys, torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

class Driver:
    get_current_target = staticmethod(lambda: GPUTarget('cuda', int(sys.argv[1]), 32))
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device=0: 0)

def compile_only(self, *args, grid, warmup, **options):
    kernel = run(self, *args, grid=grid, warmup=True, **options)
    print(self.fn.__name__, *(key for key in ('cubin', ) if kernel.asm.get(key)))

driver.set_active(Driver())
run, JITFunction.run = JITFunction.run, compile_only
sys.path[:0] = ['tests']
from ops_oracles import solved, tensors
from mmups.ops.backends import triton, triton_ops

def compile_for(dtype, layout):
    for case in ('sample', 'reassemble', 'query-key', 'deform-query-key', 'deform-attend',
                 'transposed'):
        operator, args, *_ = solved(case, torch.float32)
        args = [arg.to(dtype) if isinstance(arg, torch.Tensor) else arg for arg in args]
        args = [arg.contiguous(memory_format=layout).requires_grad_()
                if isinstance(arg, torch.Tensor) and arg.dim() == 4 else arg for arg in args]
        out = getattr(triton, operator)(*args)
        torch.autograd.grad(out.sum(), [arg for arg in tensors(args) if arg.requires_grad])

compile_for(torch.float32, torch.contiguous_format)
torch.use_deterministic_algorithms(True)
compile_for(torch.bfloat16, torch.channels_last)
'''


@pytest.mark.triton
@pytest.mark.parametrize('capability', [80, 90])
def test_compiles_for_gpus_without_one(capability, tmp_path):
    """The interpreter accepts what the compiler may not: machine code for A100 and H100."""
    pytest.importorskip('triton', reason='triton is not installed')
    environment = {**os.environ, 'TRITON_CACHE_DIR': str(tmp_path), 'PYTHONPATH': str(ROOT)}
    environment.pop('TRITON_INTERPRET', None)
    done = subprocess.run([sys.executable, '-c', COMPILE, str(capability)], env=environment,
                          cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {
        'attend', 'score', 'spread', 'reassemble', 'query_key', 'reassemble_adjoint',
        'depthwise_transposed'}
    assert all(line.endswith(' cubin') for line in lines)


def test_missing_says_what_to_install(monkeypatch):
    look = triton.missing.__wrapped__
    monkeypatch.setattr(triton, 'find_spec', lambda name: None)
    assert 'pip install triton' in look()
    monkeypatch.setattr(triton, 'find_spec', lambda name: 'there')
    monkeypatch.setattr(triton, 'INTERPRETED', False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'TRITON_INTERPRET=1' in look()
    monkeypatch.setattr(triton, 'INTERPRETED', True)
    monkeypatch.setitem(sys.modules, 'mmups.ops.backends.triton_ops', None)
    monkeypatch.delattr('mmups.ops.backends.triton_ops', raising=False)
    assert 'ModuleNotFoundError' in look() or 'ImportError' in look()
    monkeypatch.delattr(torch.library, 'custom_op', raising=False)
    assert 'PyTorch 2.4' in look()


def test_nothing_is_imported_before_the_backend_is_asked_for():
    code = ('import sys; from mmups.models import DySample; '
            'print([name for name in sys.modules if "triton_" in name and "mmups" in name])')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=True)
    assert done.stdout.split() == ['[]']


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('operator', triton.OPERATORS)
def test_automatic_choice(operator):
    """What is faster than the reference on an H100: see docs/benchmark.md."""
    with ops.use_backend('auto'):
        chosen = backends.implementation(operator, torch.zeros(1, device='cuda'))
    fast = backends.AUTOMATIC['triton']
    assert chosen is getattr(triton if operator in fast else reference, operator)


def test_gpus_before_triton(monkeypatch):
    for name, value in dict(is_available=True, get_device_capability=(6, 1),
                            get_device_name='GTX 1080').items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(triton, 'find_spec', lambda name: True)
    triton.missing.cache_clear()
    assert 'GTX 1080 is older' in triton.missing()
    triton.missing.cache_clear()
