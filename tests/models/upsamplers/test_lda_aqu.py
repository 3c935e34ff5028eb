"""LDA-AQU: each fine pixel by loops in float64, counts, keys, border, memory, and how it starts."""
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmups.models import LDAAQU

pytestmark = pytest.mark.usefixtures('every_backend')


def share(position, length):
    """What each of ``length`` pixels contributes at a position; beyond the border nothing does."""
    return (1 - (position - torch.arange(length)).abs()).clamp(min=0)


def at(maps, row, column):
    """Bilinear value of (C, h, w) at one position; zero outside."""
    h, w = maps.shape[-2:]
    return torch.einsum('chw,h,w->c', maps, share(row, h), share(column, w))


def normed(pixel, norm):
    centred = pixel - pixel.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def conv(maps, weight, bias, row, column):
    """Dense convolution of (C, h, w) at one pixel, zero outside the map."""
    total, k = bias, weight.shape[-1]
    for a in range(k):
        for b in range(k):
            i, j = row + a - k // 2, column + b - k // 2
            if 0 <= i < maps.shape[1] and 0 <= j < maps.shape[2]:
                total = total + weight[:, :, a, b] @ maps[:, i, j]
    return total


def every_pixel(function, h, w):
    pixels = [function(i, j) for i in range(h) for j in range(w)]
    return torch.stack(pixels, dim=-1).reshape(-1, h, w)


def sample_by_loop(up, x):
    """One (C, h, w)."""
    (_, h, w), s, k = x.shape, up.scale_factor, up.up_kernel
    fine_h, fine_w = s * h, s * w
    to_hidden, norm, _, to_shift = up.conv_offset
    table = up.relative_position_bias_table[0, :, 0]  # (heads, K*K, D/heads)

    def coarse(position, size):
        """A fine position on the coarse map; corner pixels have their centres in common."""
        return position * (size - 1) / (s * size - 1)

    pixels = every_pixel(lambda i, j: normed(x[:, i, j], up.layer_norm.norm), h, w)
    query = every_pixel(lambda i, j: up.proj_q.weight[:, :, 0, 0] @ pixels[:, i, j], h, w)
    key = every_pixel(lambda i, j: up.proj_k.weight[:, :, 0, 0] @ pixels[:, i, j], h, w)
    embedding = len(query)
    query = every_pixel(lambda i, j, coarse_query=query: at(
        coarse_query, *torch.tensor((coarse(i, h), coarse(j, w)), dtype=torch.float64)),
        fine_h, fine_w)
    shifts = []
    for part in query.chunk(up.groups):
        depthwise = torch.diag_embed(to_hidden.weight[:, 0].permute(1, 2, 0)).permute(2, 3, 0, 1)

        def hidden(i, j, part=part, depthwise=depthwise):
            value = normed(conv(part, depthwise, 0, i, j), norm.norm)
            return value * (1 + torch.erf(value / math.sqrt(2))) / 2

        features = every_pixel(hidden, fine_h, fine_w)
        shifts.append(every_pixel(lambda i, j, features=features: up.range_factor * torch.tanh(
            conv(features, to_shift.weight, to_shift.bias, i, j)), fine_h, fine_w))

    def pixel(row, column):
        sampled = []  # per tap: key and value, each group at its own place
        for tap in range(k * k):
            groups = []
            for group, shift in enumerate(shifts):
                dy, dx = shift[2 * tap:2 * tap + 2, row, column]
                place = (coarse(row + tap // k - k // 2 + dy, h),
                         coarse(column + tap % k - k // 2 + dx, w))
                groups.append([at(maps.chunk(up.groups)[group], *place) for maps in (key, x)])
            sampled.append([torch.cat(parts) for parts in zip(*groups)])
        values = []
        for head in range(up.heads):
            asked = query[:, row, column].chunk(up.heads)[head]
            logits = torch.stack([
                asked @ (keys.chunk(up.heads)[head] + table[head, tap])
                for tap, (keys, _) in enumerate(sampled)]) * (embedding / up.heads)**-0.5
            weights = logits.exp() / logits.exp().sum()
            values.append(sum(weight * value.chunk(up.heads)[head]
                              for weight, (_, value) in zip(weights, sampled)))
        return torch.cat(values)

    return every_pixel(pixel, fine_h, fine_w)


@pytest.mark.parametrize('args, s', [
    (dict(), 2), (dict(heads=4), 2), (dict(groups=1, heads=2), 3),
    (dict(groups=4, heads=2, encoder_kernel=1), 2), (dict(up_kernel=1), 1)], ids=str)
def test_equals_formula_with_all_gradients(args, s, randomise, equal_with_gradients):
    """Points move by pixels, out of the map on every side."""
    up = randomise(LDAAQU(32, s, range_factor=5, **args), std=0.5).double()
    x = torch.randn(1, 32, 3, 2, dtype=torch.float64, requires_grad=True)
    got, expected = up(x), sample_by_loop(up, x[0])[None]
    variables = dict(x=x, **dict(up.named_parameters()))
    equal_with_gradients(got, expected, variables, atol=1e-10, gradients=1e-8)


@pytest.mark.parametrize(('reduction', 'parameters'), [(4, 39410), (16, 10250)])
def test_parameter_counts(reduction, parameters):
    """At 256 channels; four of them add 0.16M and 0.04M to Faster R-CNN, as its figure shows."""
    up = LDAAQU(256, reduction_factor=reduction)
    assert sum(p.numel() for p in up.parameters()) == parameters


def test_state_dict_is_the_authors():
    state = {key: tuple(value.shape) for key, value in LDAAQU(256).state_dict().items()}
    assert state == {
        'layer_norm.norm.weight': (256, ), 'layer_norm.norm.bias': (256, ),
        'proj_q.weight': (64, 256, 1, 1), 'proj_k.weight': (64, 256, 1, 1),
        'conv_offset.0.weight': (32, 1, 3, 3), 'conv_offset.1.norm.weight': (32, ),
        'conv_offset.1.norm.bias': (32, ), 'conv_offset.3.weight': (18, 32, 3, 3),
        'conv_offset.3.bias': (18, ), 'relative_position_bias_table': (1, 1, 1, 9, 64)}


def test_initial_weights():
    up = LDAAQU(256)
    for layer, bound in ((up.proj_q, (6 / (256 + 64))**0.5), (up.proj_k, (6 / (256 + 64))**0.5),
                         (up.conv_offset[0], (6 / (9 + 32 * 9))**0.5)):
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
    assert up.relative_position_bias_table.std().item() == pytest.approx(0.02, rel=0.15)
    for norm in (up.layer_norm.norm, up.conv_offset[1].norm):
        assert (norm.weight == 1).all() and not norm.bias.any()
    assert not up.conv_offset[3].weight.any() and not up.conv_offset[3].bias.any()


def test_constant_map_at_the_border():
    """The share of the weights that lies outside the map: a tap next to the edge is
    (h-1)/(s*h-1) coarse pixels outside it, 5/11 here. 0.85 at edges and 0.72 in corners."""
    out = LDAAQU(16)(torch.ones(1, 16, 6, 6))[0]
    edge = (3 - 5 / 11) / 3
    assert (round(edge, 2), round(edge**2, 2)) == (0.85, 0.72)
    for place, expected in (((0, 0), edge**2), ((11, 11), edge**2), ((0, 6), edge),
                            ((6, 11), edge), ((1, 1), 1.), ((6, 6), 1.)):
        torch.testing.assert_close(out[(..., *place)], torch.full((16, ), expected))


@pytest.mark.parametrize('s', [2, 3])
def test_starts_as_a_window_around_the_aligned_pixel(s):
    """Without parameters' say: a query of zero weighs all taps alike."""
    up = LDAAQU(16, s).double()
    torch.nn.init.zeros_(up.proj_q.weight)
    x = torch.randn(1, 16, 5, 6, dtype=torch.float64)
    fine = torch.nn.functional.interpolate(x, scale_factor=s, mode='bilinear', align_corners=True)
    mean = torch.nn.functional.avg_pool2d(fine, 3, stride=1)
    torch.testing.assert_close(up(x)[..., 1:-1, 1:-1], mean, rtol=0, atol=1e-12)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operator makes."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out, ):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def test_no_copies_of_windows():
    """Forward and backward make nothing larger than the output."""
    up, x = LDAAQU(128), torch.randn(1, 128, 16, 16, requires_grad=True)
    with Largest() as largest:
        up(x).square().sum().backward()
    assert largest.numel == 128 * 32 * 32


def test_half_precision_on_3000_columns():
    """Where half precision cannot count columns: an unmoved window still lies on its pixel."""
    up, x = LDAAQU(8), torch.randn(1, 8, 2, 1500).half()
    torch.nn.init.zeros_(up.proj_q.weight)
    out, expected = up.half()(x), up.double()(x.double())
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(('args', 'channels', 'message'), [
    (dict(groups=3), 32, 'in_channels=32, groups=3'),
    (dict(heads=5), 32, 'in_channels=32, heads=5'),
    (dict(groups=16), 32, 'in_channels=32, reduction_factor=4, groups=16, heads=1'),
    (dict(reduction_factor=64), 32, 'in_channels=32, reduction_factor=64'),
    (dict(up_kernel=2), 32, 'up_kernel=2'),
    (dict(range_factor=0), 32, 'range_factor=0'),
])
def test_impossible_arguments_are_refused(args, channels, message):
    with pytest.raises(ValueError, match=message):
        LDAAQU(channels, **args)
