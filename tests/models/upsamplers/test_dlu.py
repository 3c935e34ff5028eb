"""DLU: each fine pixel by loops in float64, counts, keys, and how it starts."""
import pytest
import torch

from mmups.models import DLU

pytestmark = pytest.mark.usefixtures('every_backend')


def conv_at(conv, maps, i, j):
    """A convolution's output (N, D) at one pixel; zero outside the map."""
    n, _, h, w = maps.shape
    k = conv.kernel_size[0]
    total = conv.bias.expand(n, -1)
    for a in range(k):
        for b in range(k):
            row, column = i + a - k // 2, j + b - k // 2
            if 0 <= row < h and 0 <= column < w:
                total = total + maps[:, :, row, column] @ conv.weight[:, :, a, b].t()
    return total


def whole(conv, maps):
    n, _, h, w = maps.shape
    pixels = [conv_at(conv, maps, i, j) for i in range(h) for j in range(w)]
    return torch.stack(pixels, dim=-1).reshape(n, -1, h, w)


def dlu_by_loop(up, x, bilinear_at):
    n, c, h, w = x.shape
    s, k = up.scale_factor, up.up_kernel
    compressed = whole(up.channel_compressor, x)
    logits = whole(up.kernel_space_generator, compressed)
    coarse = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    points = whole(up.conv_offset, compressed).reshape(n, 2, s, s, h, w)  # x, then y
    pixels = []
    for row in range(s * h):
        for column in range(s * w):
            i, j, a, b = row // s, column // s, row % s, column % s
            sums = []
            for sample in range(n):
                dx, dy = points[sample, :, a, b, i, j]
                kernel = bilinear_at(coarse[sample], i + dy, j + dx).reshape(k, k)
                sums.append(sum(
                    kernel[p, q] * x[sample, :, i + p - k // 2, j + q - k // 2]
                    for p in range(k) for q in range(k)
                    if 0 <= i + p - k // 2 < h and 0 <= j + q - k // 2 < w))
            pixels.append(torch.stack(sums))
    return torch.stack(pixels, dim=-1).reshape(n, c, s * h, s * w)


@pytest.mark.parametrize('s, kernel', [(2, 5), (3, 3), (4, 1)])
def test_equals_formula_with_all_gradients(s, kernel, randomise, bilinear_at, equal_with_gradients):
    """Random weights move points by pixels, out of the map on every side."""
    up = randomise(DLU(3, s, compressed_channels=2, up_kernel=kernel), std=1.0).double()
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    got, expected = up(x), dlu_by_loop(up, x, bilinear_at)
    variables = dict(x=x, **dict(up.named_parameters()))
    equal_with_gradients(got, expected, variables, atol=1e-12, gradients=1e-10)


@pytest.mark.parametrize(('s', 'parameters'), [(2, 35489), (4, 49337), (8, 104729), (16, 326297)])
def test_parameter_counts(s, parameters):
    """At 256 channels; the abstract's 91 % less than CARAFE at x16 (3,709,248)."""
    assert sum(p.numel() for p in DLU(256, s).parameters()) == parameters


def test_state_dict_is_the_authors():
    state = {key: tuple(value.shape) for key, value in DLU(256).state_dict().items()}
    assert state == {
        'channel_compressor.weight': (64, 256, 1, 1), 'channel_compressor.bias': (64, ),
        'kernel_space_generator.weight': (25, 64, 3, 3), 'kernel_space_generator.bias': (25, ),
        'conv_offset.weight': (8, 64, 3, 3), 'conv_offset.bias': (8, )}


def test_initial_weights():
    up = DLU(256, 4)
    bound = (6 / (256 + 64))**0.5
    assert up.channel_compressor.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert up.kernel_space_generator.weight.std().item() == pytest.approx(0.001, rel=0.05)
    for zero in (up.conv_offset.weight, *(layer.bias for layer in up.children())):
        assert not zero.any()


@pytest.mark.parametrize('s', [2, 3])
def test_starts_as_a_smoothed_nearest_neighbour(s):
    """All pixels of a cell take one kernel, which is the mean of the window to 1 %."""
    up, x = DLU(8, s).double(), torch.randn(1, 8, 6, 7, dtype=torch.float64)
    out = up(x)
    cells = out[..., ::s, ::s].repeat_interleave(s, -1).repeat_interleave(s, -2)
    torch.testing.assert_close(out, cells, rtol=0, atol=1e-12)
    mean = torch.nn.functional.avg_pool2d(x, 5, stride=1, padding=2)
    torch.testing.assert_close(out[..., ::s, ::s], mean, rtol=0, atol=0.01)


def test_constant_map(randomise):
    """Kernels sum to 1 wherever they are sampled; the window's zero border takes mass, as in
    CARAFE: 0.36 in the corner and 0.6 at the edge at the start."""
    ones = torch.ones(1, 8, 12, 12)
    out = DLU(8)(ones)[0, 0]
    torch.testing.assert_close(out[[0, 0, 12], [0, 12, 12]], torch.tensor([0.36, 0.6, 1.0]),
                               rtol=0, atol=0.01)
    up = randomise(DLU(8), std=1.0)
    x = torch.randn(1, 8, 7, 9)
    torch.testing.assert_close(up.kernels(x).sum((-2, -1)), torch.ones(1, 1, 14, 18))
    inner = up(ones)[..., 4:-4, 4:-4]
    torch.testing.assert_close(inner, torch.ones_like(inner), rtol=1e-5, atol=1e-5)
