"""One recorded graph gives the eager numbers at other batch sizes, heights and widths.

Every case is compiled, exported and run by onnxruntime, alone and inside a small pyramid whose
odd and even maps make the upsampler crop, replicate or do neither (``fit_size``).
"""
import io
import logging

import pytest
import torch
from torch import nn

# Traces, and the exporter that uses them, are tested as long as PyTorch has them.
pytestmark = [pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning'),
              pytest.mark.filterwarnings('ignore:.*legacy TorchScript:DeprecationWarning')]
EXAMPLE = (2, 6, 7)
OTHERS = [(1, 9, 5), (3, 4, 13), (2, 1, 2), (2, 20, 33)]
#: (case or class, start of the recorder's name) -> what PyTorch 2.13 itself cannot do, and says so.
REFUSED = {
    ('Interpolate-mode=nearest-exact', 'onnx-traced'): 'no such operator in the older exporter',
    ('Interpolate-mode=area', 'onnx-traced'): 'no adaptive pooling to a dynamic size',
    ('Interpolate-mode=area', 'inductor'): 'no adaptive pooling to a symbolic size',
    ('FreqFusion', 'inductor'): 'no order of the strides of a view that is kept for gradients',
    ('LDAAQU', 'inductor'): 'no order of the strides of a view that is kept for gradients',
}
MESSAGES = '[Uu]nsupported|not supported|_avg_pool2d|truth value of Relational'


def compiled(backend):

    def record(module, inputs, shapes):
        torch._dynamo.reset()
        graph = torch.compile(module, fullgraph=True, dynamic=True, backend=backend)
        graph(*inputs)
        return graph

    return record


def exported(strict):

    def record(module, inputs, shapes):
        return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=strict).module()

    return record


def onnx_runtime(model, opset):
    onnx = pytest.importorskip('onnx')
    ort = pytest.importorskip('onnxruntime')
    versions = {entry.domain: entry.version for entry in onnx.load_from_string(model).opset_import}
    assert versions[''] == opset
    session = ort.InferenceSession(model, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]

    def graph(*inputs):
        feed = {name: x.numpy() for name, x in zip(names, inputs)}
        return torch.from_numpy(session.run(None, feed)[0])

    return graph


def traced_onnx(opset):

    def record(module, inputs, shapes):
        pytest.importorskip('onnx')
        names = [f'input{i}' for i in range(len(inputs))]
        axes = {name: {axis: f'{name}_{axis}' for axis in (0, 2, 3)} for name in [*names, 'out']}
        file = io.BytesIO()
        torch.onnx.export(module, inputs, file, dynamo=False, opset_version=opset,
                          input_names=names, output_names=['out'], dynamic_axes=axes)
        return onnx_runtime(file.getvalue(), opset)

    return record


def exported_onnx(opset):

    def record(module, inputs, shapes):
        pytest.importorskip('onnxscript')
        program = torch.onnx.export(module, inputs, dynamo=True, opset_version=opset,
                                    dynamic_shapes=shapes, verbose=False)
        return onnx_runtime(program.model_proto.SerializeToString(), opset)

    return record


RECORDERS = {
    'compile': compiled('aot_eager'),
    'export': exported(strict=False),
    'export-strict': exported(strict=True),
    'onnx-traced-16': traced_onnx(16),
    'onnx-traced-17': traced_onnx(17),
    'onnx-18': exported_onnx(18),
    'onnx-23': exported_onnx(23),
    'inductor': compiled('inductor'),
}
SLOW = {'export-strict', 'onnx-23', 'inductor'}

def slow_or_not(name, *others):
    return pytest.param(name, *others, marks=pytest.mark.slow if name in SLOW else ())


@pytest.fixture(autouse=True)
def quiet():
    """The exporters report on the root logger what the assertions check."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
    torch._dynamo.reset()


def record(recorder, case, module, inputs, shapes):
    for (name, start), reason in REFUSED.items():
        if name in (str(case), str(case).split('-')[0]) and recorder.startswith(start):
            with pytest.raises(RuntimeError, match=MESSAGES):
                RECORDERS[recorder](module, inputs, shapes)
            pytest.skip(reason)
    return RECORDERS[recorder](module, inputs, shapes)


def dynamic(scale_factor, count, least=1):
    n = torch.export.Dim('batch')
    h, w = (torch.export.Dim(name, min=least) for name in ('height', 'width'))
    return ({0: n, 2: h, 3: w}, {0: n, 2: scale_factor * h, 3: scale_factor * w})[:count]


@pytest.mark.parametrize(('recorder', 's'), [
    *(slow_or_not(name, 2) for name in RECORDERS), ('export', 3), ('onnx-traced-16', 3)])
def test_upsampler_alone(case, recorder, s, randomise):
    channels = case.channels if s == 2 else 288
    up = randomise(case.build(s, channels), std=case.std if s == 2 else 0.03).eval()

    def draw(n, h, w):
        inputs = torch.randn(n, channels, h, w), torch.randn(n, channels, s * h, s * w)
        return inputs if up.guided else inputs[:1]

    inputs = draw(*EXAMPLE)
    graph = record(recorder, case, up, inputs, dynamic(s, len(inputs), case.least))
    for n, *size in [EXAMPLE, *OTHERS]:
        inputs = draw(n, *(max(length, case.least) for length in size))
        with torch.no_grad():
            torch.testing.assert_close(graph(*inputs), up(*inputs), rtol=1e-4, atol=1e-4)


class Pyramid(nn.Module):
    """One step down, the upsampler back up to whatever size the input had."""

    def __init__(self, up, rounds_up):
        super().__init__()
        channels = up.in_channels
        self.down = nn.Conv2d(channels, channels, 3 if rounds_up else 2, 2, int(rounds_up))
        self.up = up

    def forward(self, x):
        return x + self.up(self.down(x), guide=x, size=x.shape[2:])


@pytest.mark.parametrize('recorder', [
    slow_or_not(name) for name in RECORDERS if name != 'inductor'])  # takes many minutes
@pytest.mark.parametrize('rounds_up', [
    pytest.param(True, id='ceil'), pytest.param(False, id='floor', marks=pytest.mark.slow)])
@pytest.mark.parametrize('example', [
    (12, 14), pytest.param((10, 11), marks=pytest.mark.slow)], ids=str)
def test_inside_a_pyramid_of_any_size(plain_case, recorder, rounds_up, example, randomise):
    """The fitting is the same for all arguments of a class."""
    net = randomise(Pyramid(plain_case.build(), rounds_up), std=0.1).eval()
    inputs = (torch.randn(2, plain_case.channels, *example), )
    graph = record(recorder, plain_case, net, inputs, dynamic(2, 1, least=4))
    for n, *size in [(2, *example), (1, 9, 5), (3, 4, 13), (2, 20, 34), (1, 7, 7)]:
        x = torch.randn(n, plain_case.channels, *size)
        with torch.no_grad():
            torch.testing.assert_close(graph(x), net(x), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_gradients_of_the_compiled_module(case, randomise):
    """Inductor's backward pass, at a size that it has not seen."""
    up = randomise(case.build(), std=0.1)
    graph = record('inductor', case, up, case.inputs(), None)
    inputs = case.inputs(3, 7, 4, requires_grad=True)
    variables = [*inputs, *up.parameters()]
    upstream = torch.randn(3, case.channels, 14, 8)
    for ours, theirs in zip(torch.autograd.grad(graph(*inputs), variables, upstream),
                            torch.autograd.grad(up(*inputs), variables, upstream)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
