"""What every backend promises beyond single values: dtypes, layouts, gradients, repeatability."""
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from ops_oracles import OF_POINTS, grid_sample_differentiates_twice

from mmups import ops
from mmups.ops import backend as backends
from mmups.ops.backends import native, reference

ROOT = Path(__file__).parents[2]
#: Relative to the largest value of the result: rounding of sums, and of results in their dtype.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2**-10,
              torch.bfloat16: 2**-7}


@dataclass(frozen=True)
class Call:
    """An operator with tensors that it takes, by their shapes, and its numbers."""

    operator: str
    shapes: tuple
    numbers: tuple
    #: Index of the map that decides dtype and memory format, and of offsets.
    map: int = 0
    offset: int = -1

    def draw(self, dtype=torch.float64):
        """Points lie within three pixels and well between two: on one, the side decides on the
        gradient, and rounding on the side."""
        torch.manual_seed(0)
        tensors = [torch.randn(shape, dtype=torch.float64) for shape in self.shapes]
        if self.offset > 0:
            shape = self.shapes[self.offset]
            tensors[self.offset] = torch.randint(-3, 3, shape) + 0.2 + 0.6 * torch.rand(shape)
        return [tensor.to(dtype) for tensor in tensors]

    def run(self, tensors):
        return getattr(ops, self.operator)(*tensors, *self.numbers)

    def __str__(self):
        return f'{self.operator}-{"x".join(map(str, self.shapes[self.map]))}-{self.numbers}'


def calls(n, c, h, w, s, groups, kernel, points=3):
    fine, taps = (s * h, s * w), groups * kernel**2 * s * s
    yield Call('sample_dynamic', ((n, c, h, w), (n, 2 * groups * s * s, h, w)), (s, groups),
               offset=1)
    yield Call('reassemble', ((n, c, h, w), (n, taps, h, w)), (kernel, groups, s))
    yield Call('query_key', ((n, c, *fine), (n, c, h, w)), (kernel, s))
    yield Call('deform_query_key', ((n, c, *fine), (n, c, h, w), (n, 2 * groups * points, *fine)),
               (groups, s), offset=2)
    yield Call('deform_attend', ((n, groups, points, *fine), (n, c, h, w),
                                 (n, 2 * groups * points, *fine)), (s, ), map=1,
               offset=2)
    yield Call('depthwise_transposed', ((n, c, h, w), (c, 1, kernel, kernel), (c, )), (s, ))


#: Sizes around those of vectors and tiles, several channels and groups, other scales, one pixel.
CALLS = [call for case in [(2, 6, 5, 7, 2, 2, 5), (1, 24, 9, 19, 2, 4, 5), (1, 5, 16, 33, 2, 1, 3),
                           (2, 40, 3, 4, 3, 2, 3), (1, 4, 8, 8, 4, 1, 7), (3, 18, 1, 1, 2, 1, 5),
                           (1, 3, 6, 17, 1, 3, 1)] for call in calls(*case)]
SMALL = list(calls(2, 4, 3, 4, 2, 2, 3))


def python(code, **env):
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, **env})


def test_every_operator_has_calls():
    assert {call.operator for call in CALLS} == set(native.OPERATORS)
    for operator in native.OPERATORS:
        assert callable(getattr(reference, operator)) and operator in ops.__all__


def closeness(got, want, tolerance):
    largest = want.abs().max() if want.numel() else 0
    assert (got.double() - want).abs().le(tolerance * largest + 1e-30).all()


@pytest.mark.parametrize('dtype', TOLERANCES, ids=str)
@pytest.mark.parametrize('call', CALLS, ids=str)
def test_equals_the_reference_in_double_precision(call, dtype):
    """Results and gradients; the loops hold the reference itself to the formulas."""
    tensors = [tensor.requires_grad_() for tensor in call.draw(dtype)]
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    out = call.run(tensors)
    with ops.use_backend('reference'):
        expected = call.run(exact)
    map_dtype = tensors[call.map].dtype
    assert out.dtype in (map_dtype, torch.promote_types(map_dtype, torch.float32))
    closeness(out, expected, TOLERANCES[dtype])
    upstream = torch.randn_like(expected)
    grads = torch.autograd.grad(out, tensors, upstream.to(out.dtype))
    for got, want, tensor in zip(grads, torch.autograd.grad(expected, exact, upstream), tensors):
        assert got.dtype == tensor.dtype
        closeness(got, want, 8 * TOLERANCES[dtype])


@pytest.mark.parametrize('call', CALLS, ids=str)
def test_memory_format_changes_nothing(call):
    """A channels_last map gives the same numbers; a slice of a larger one, too."""
    tensors = call.draw(torch.float32)
    expected = call.run(tensors)
    last = [tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
            for tensor in tensors]
    slices = [torch.stack((tensor, -tensor), dim=-1)[..., 0] for tensor in tensors]
    for inputs in (last, slices):
        torch.testing.assert_close(call.run(inputs), expected)


@pytest.mark.parametrize('call', CALLS, ids=str)
def test_threads_change_nothing(call):
    """Sums have one order, whoever makes them."""
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            tensors = [tensor.requires_grad_() for tensor in call.draw(torch.float32)]
            out = call.run(tensors)
            results.append([out, *torch.autograd.grad(out.square().sum(), tensors)])
    finally:
        torch.set_num_threads(1)
    if ops.current_backend() == 'native' and call.operator != 'depthwise_transposed':
        assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(result, results[0]))
    else:  # whose gradients are PyTorch's
        assert all(torch.equal(result[0], results[0][0]) for result in results[1:])


@pytest.mark.parametrize('call', SMALL, ids=str)
def test_gradients_of_gradients(call):
    tensors = [tensor.requires_grad_() for tensor in call.draw()]
    assert torch.autograd.gradcheck(lambda *maps: call.run(maps), tensors, fast_mode=True)
    if call.operator in OF_POINTS and not grid_sample_differentiates_twice():
        pytest.skip('no second derivative of grid_sample in this PyTorch')
    assert torch.autograd.gradgradcheck(lambda *maps: call.run(maps), tensors,
                                        fast_mode=True, atol=1e-4)


@pytest.mark.parametrize('call', SMALL, ids=str)
@pytest.mark.parametrize('wanted', [0, 1])
def test_gradient_of_one_input_alone(call, wanted):
    tensors = call.draw()
    tensors[wanted].requires_grad_()
    every = [tensor.detach().requires_grad_() for tensor in tensors]
    alone, = torch.autograd.grad(call.run(tensors).square().sum(), tensors[wanted])
    together = torch.autograd.grad(call.run(every).square().sum(), every)[wanted]
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize('call', SMALL, ids=str)
def test_empty_batch(call):
    tensors = [tensor[:0] if index < 1 or call.operator != 'depthwise_transposed' else tensor
               for index, tensor in enumerate(call.draw(torch.float32))]
    tensors = [tensor.requires_grad_() for tensor in tensors]
    out = call.run(tensors)
    assert out.shape[0] == 0
    out.sum().backward()
    assert [tensor.grad.shape for tensor in tensors] == [tensor.shape for tensor in tensors]


@pytest.mark.parametrize('call', SMALL, ids=str)
def test_compiles_into_one_graph(call):
    tensors = call.draw(torch.float32)
    graph = torch.compile(lambda *maps: call.run(maps), fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(graph(*tensors), call.run(tensors))
    torch._dynamo.reset()


@pytest.mark.parametrize('call', SMALL, ids=str)
def test_deterministic_mode(call):
    torch.use_deterministic_algorithms(True)
    try:
        tensors = [tensor.requires_grad_() for tensor in call.draw(torch.float32)]
        call.run(tensors).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)


def test_wild_coordinates_do_no_harm(backend):
    """A diverged training has them. They must not reach memory outside the map, and spoil no
    more than their own points. In a process of its own, which a crash takes down alone."""
    code = f'''
import math
import torch
from mmups import ops
ops.use_backend({backend!r})
torch.set_num_threads(1)
x, offset = torch.randn(1, 8, 5, 6), torch.randn(1, 8, 5, 6)
fine, many = torch.randn(1, 8, 10, 12), torch.randn(1, 12, 10, 12)
attention = torch.rand(1, 2, 3, 10, 12)
for run, tensors, numbers in ((ops.sample_dynamic, [x, offset], (2, 1)),
                              (ops.deform_query_key, [fine, x, many], (2, 2)),
                              (ops.deform_attend, [attention, x, many], (2, ))):
    clean = run(*tensors, *numbers)
    for wild in (math.nan, math.inf, -math.inf, 1e30, -1e30):
        inputs = [tensor.clone() for tensor in tensors]
        inputs[-1].view(-1)[7] = wild
        inputs = [tensor.requires_grad_() for tensor in inputs]
        out = run(*inputs, *numbers)
        assert (out != clean).sum() <= 8, (run, wild)
        out.nan_to_num().sum().backward()
        assert all(tensor.grad.shape == tensor.shape for tensor in inputs)
print('unharmed')
'''
    result = python(code)
    assert result.stdout == 'unharmed\n', (result.returncode, result.stderr)


@pytest.mark.parametrize('call', SMALL, ids=str)
def test_pytorchs_own_check_of_operators(call, backend):
    """Schema, fake tensors, autograd registration, compiled with changing shapes."""
    if backend != 'native':
        pytest.skip('of compiled operators')
    operator = getattr(torch.ops.mmups, call.operator)
    numbers = call.numbers
    if call.operator == 'query_key':
        numbers = numbers[0], 1, numbers[1]
    for dtype in (torch.float32, torch.bfloat16):
        tensors = [tensor.requires_grad_() for tensor in call.draw(dtype)]
        tests = ['test_schema', 'test_autograd_registration', 'test_faketensor']
        if dtype == torch.float32:
            tests.append('test_aot_dispatch_dynamic')
        torch.library.opcheck(operator.default, (*tensors, *numbers), test_utils=tests)


def test_shapes_that_do_not_belong_together(backend):
    if backend != 'native':
        pytest.skip('PyTorch finds its own words')
    x = torch.randn(1, 8, 5, 6)
    with pytest.raises(ValueError, match=r'\[1, 8, 5, 6\] and \[1, 9, 5, 6\]'):
        ops.reassemble(x, torch.randn(1, 9, 5, 6), 3)
    with pytest.raises(ValueError, match='sample_dynamic'):
        ops.sample_dynamic(x, torch.randn(1, 8, 5, 5))


class TestChoice:

    def test_automatic(self, backend):
        with ops.use_backend('auto'):
            assert ops.current_backend() == 'auto'
            chosen = backends.implementation('reassemble', torch.zeros(1))
            fastest = native if native.missing() is None else reference
            assert chosen is fastest.reassemble
        assert ops.current_backend() == backend

    def test_by_name(self, backend):
        chosen = backends.implementation('reassemble', torch.zeros(1))
        assert chosen is backends.BACKENDS[backend].reassemble

    def test_as_a_function(self, backend):
        ops.use_backend('reference')
        assert ops.current_backend() == 'reference'

    def test_where_a_backend_has_none(self, backend):
        """An operator, dtype or device that it does not know goes to the reference."""
        for tensor in (torch.zeros(1, device='meta'), torch.zeros(1, dtype=torch.int64)):
            assert backends.implementation('reassemble', tensor) is reference.reassemble

    def test_unknown(self):
        with pytest.raises(ValueError, match="'cuda': one of auto, native, mmcv, triton"):
            ops.use_backend('cuda')

    def test_missing_says_what_to_install(self, monkeypatch, backend):
        monkeypatch.setattr(native, '_library', lambda: f'nothing there; {native.WAY_OUT}')
        with pytest.raises(ValueError, match='pip install --no-build-isolation'):
            ops.use_backend('native')
        assert ops.current_backend() == backend

    @pytest.mark.parametrize('transform', ['vmap', 'grad', 'forward', 'trace'])
    def test_reference_where_pytorch_looks_in(self, transform):
        seen = []

        def run(x):
            seen.append(backends.implementation('reassemble', x))
            return x * 2

        x = torch.ones(2)
        if transform == 'vmap':
            torch.func.vmap(run)(x)
        elif transform == 'grad':
            torch.func.grad(lambda x: run(x).sum())(x)
        elif transform == 'forward':
            with torch.autograd.forward_ad.dual_level():
                run(x)
        else:
            torch.jit.trace(run, x, check_trace=False)
        assert set(seen) == {reference.reassemble}


class TestProcess:
    """Of a process from its start, the same whatever the backend of this one."""

    @pytest.fixture(autouse=True)
    def once(self, backend):
        if backend != 'reference':
            pytest.skip('once is enough')

    def test_environment_variable(self):
        code = 'from mmups import ops; print(ops.current_backend())'
        assert python(code, MMUPS_BACKEND='reference').stdout == 'reference\n'
        wrong = python(code, MMUPS_BACKEND='fast')
        assert wrong.returncode and "no backend 'fast': one of auto" in wrong.stderr

    def test_status(self):
        out = python('import runpy; runpy.run_module("mmups.ops", run_name="__main__")').stdout
        for name in backends.BACKENDS:
            assert name in out

    def test_a_library_for_another_torch(self):
        """One warning that names both and the way out; then the reference."""
        if native.missing():
            pytest.skip(native.missing())
        code = '''
import torch, warnings
torch.__version__ = '9.9.9'
from mmups import ops
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    for _ in range(3):
        print(tuple(ops.reassemble(torch.rand(1, 8, 3, 3), torch.rand(1, 36, 3, 3), 3).shape))
print(len(caught), caught[0].message)
'''
        out = python(code).stdout
        assert out.count('(1, 8, 6, 6)') == 3
        assert '1 mmups works without acceleration' in out and '9.9.9' in out
        assert 'pip install --no-build-isolation' in out

    @pytest.mark.parametrize('content', [b'no library', b'\x7fELF' + bytes(60)],
                             ids=['text', 'half'])
    def test_a_library_that_does_not_load(self, content, tmp_path):
        """Of another architecture, or half a file."""
        path = tmp_path / '_C.abi3.so'
        path.write_bytes(content)
        code = f'''
import importlib.machinery, importlib.util, sys, torch, warnings
import mmups
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmups._C':
            return importlib.util.spec_from_file_location(name, {str(path)!r})
sys.meta_path.insert(0, Finder())
from mmups import ops
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    print(tuple(ops.reassemble(torch.rand(1, 8, 3, 3), torch.rand(1, 36, 3, 3), 3).shape))
print(len(caught), caught[0].message)
'''
        out = python(code).stdout
        assert '(1, 8, 6, 6)' in out and '1 mmups works without acceleration' in out

    def test_code_for_every_processor(self):
        """Without the vector instructions of this one: the same numbers."""
        if native.missing():
            pytest.skip(native.missing())
        code = '''
import importlib.util, sys
sys.path.insert(0, 'tests')
spec = importlib.util.spec_from_file_location('cases', 'tests/ops/test_backends.py')
cases = sys.modules['cases'] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
cases.ops.use_backend('native')
for call in cases.CALLS:
    for dtype in (cases.torch.float32, cases.torch.float16):
        cases.test_equals_the_reference_in_double_precision(call, dtype)
print(cases.native.instruction_set())
'''
        result = python(code, ATEN_CPU_CAPABILITY='default')
        assert result.stdout == 'portable\n', result.stderr[-2000:]

    def test_is_built_where_there_is_a_compiler(self):
        if find_spec('mmups._C') is None:
            pytest.skip('installed without a compiler, or without --no-build-isolation')
        assert native.missing() is None
