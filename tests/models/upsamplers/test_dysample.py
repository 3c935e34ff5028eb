"""DySample against the paper's formula, pixel by pixel, and against bilinear interpolation.

Restated (arXiv:2308.15085, section 3): fine pixel (i*s + a, j*s + b) of group g takes the value of
the coarse map at row i + O_y, column j + O_x, clamped to the map and bilinear between pixels. The
offset O is the linear layer's output times 0.25 (static) or times 0.5 * sigmoid(scope), plus the
bilinear position ((b - (s-1)/2)/s, (a - (s-1)/2)/s). Style lp: the layer sees a coarse pixel and
emits all s*s points of x, then those of y, groups outside, rows before columns. Style pl: it sees
the C/s^2 channels that pixel shuffle moves to the fine pixel and emits one point per group.
"""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmups.models import DySample

pytestmark = pytest.mark.usefixtures('every_backend')

VARIANTS = [dict(style=style, dyscope=dyscope) for style in ('lp', 'pl') for dyscope in (0, 1)]
PAPER = {  # name -> arguments, parameters at C=256, weights at C=256 (the paper leaves out biases)
    'dysample': (dict(), 8224, 8192),
    'dysample+': (dict(dyscope=True), 16448, 16384),
    'dysample-s': (dict(style='pl', groups=8), 1040, 1024),
    'dysample-s+': (dict(style='pl', groups=8, dyscope=True), 2080, 2048),
}


def variant_id(variant):
    return f"{variant['style']}-{'dyscope' if variant['dyscope'] else 'static'}"


def offset_at(up, x, i, j, a, b, g):
    """O_x and O_y of one fine pixel of one group, (N, ) each; matrices and indices alone."""
    s, groups, c = up.scale_factor, up.groups, up.in_channels
    if up.style == 'lp':
        inputs = x[:, :, i, j]
        rows = [((xy * groups + g) * s + a) * s + b for xy in (0, 1)]
    else:
        inputs = x[:, [k * s * s + a * s + b for k in range(c // s**2)], i, j]
        rows = [xy * groups + g for xy in (0, 1)]
    points = []
    for row, sub_pixel in zip(rows, (b, a)):
        value = inputs @ up.offset.weight[row, :, 0, 0] + up.offset.bias[row]
        if up.scope is None:
            value = value * 0.25
        else:
            scope = inputs @ up.scope.weight[row, :, 0, 0] + up.scope.bias[row]
            value = value * 0.5 / (1 + torch.exp(-scope))
        # The buffer of these positions is float32, whatever the module became later.
        points.append(value + float(np.float32((sub_pixel - (s - 1) / 2) / s)))
    return points


def dysample_by_loop(up, x, bilinear_at):
    n, c, h, w = x.shape
    s, groups = up.scale_factor, up.groups
    pixels = []
    for row in range(s * h):
        for column in range(s * w):
            i, j, a, b = row // s, column // s, row % s, column % s
            blocks = []
            for g in range(groups):
                dx, dy = offset_at(up, x, i, j, a, b, g)
                maps = x[:, g * c // groups:(g + 1) * c // groups]
                blocks.append(torch.stack([
                    bilinear_at(maps[k], i + dy[k], j + dx[k]) for k in range(n)]))
            pixels.append(torch.cat(blocks, dim=1))  # (N, C)
    return torch.stack(pixels, dim=-1).reshape(n, c, s * h, s * w)


@pytest.mark.parametrize('variant', VARIANTS, ids=variant_id)
@pytest.mark.parametrize('groups', [1, 2, 4, 8])
@pytest.mark.parametrize('s', [2, 3, 4])
def test_equals_formula_with_all_gradients(variant, groups, s, randomise, bilinear_at,
                                           equal_with_gradients):
    """Random weights move points by pixels, out of the map on every side."""
    channels = 8 if variant['style'] == 'lp' else math.lcm(8, s * s)
    up = randomise(DySample(channels, s, groups=groups, **variant), std=3.0).double()
    with torch.no_grad():
        up.offset.bias.copy_(torch.linspace(-4, 4, len(up.offset.bias)))
    x = torch.randn(2, channels, 3, 2, dtype=torch.float64, requires_grad=True)
    x_offset, y_offset = up.compute_offset(x).chunk(2, dim=1)
    columns, rows = x_offset + torch.arange(2), y_offset + torch.arange(3)[:, None]
    for outside in ((columns < 0) | (columns > 1), (rows < 0) | (rows > 2)):
        assert 0.1 < outside.double().mean() < 0.95
    got, expected = up(x), dysample_by_loop(up, x, bilinear_at)
    variables = dict(x=x, **dict(up.named_parameters()))
    equal_with_gradients(got, expected, variables, atol=1e-12, gradients=1e-10)


@pytest.mark.parametrize('variant', VARIANTS, ids=variant_id)
@pytest.mark.parametrize('s', [1, 2, 3, 4, 5])
@pytest.mark.parametrize('size', [(5, 7), (1, 1), (1, 4)], ids=str)
def test_zero_offsets_are_bilinear_interpolation(variant, s, size):
    up = DySample(16 * s * s, s, **variant).double()
    torch.nn.init.zeros_(up.offset.weight)
    x = torch.randn(2, 16 * s * s, *size, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=s, mode='bilinear', align_corners=False)
    # 1/3 and 1/5 are kept in float32.
    torch.testing.assert_close(up(x), expected, rtol=0, atol=1e-12 if s in (1, 2, 4) else 1e-6)


@pytest.mark.parametrize('variant', VARIANTS, ids=variant_id)
@pytest.mark.parametrize('s', [2, 3])
def test_constant_stays_constant(variant, s, randomise):
    """Whatever the offsets: sampling keeps mass, at the border too."""
    up = randomise(DySample(72, s, **variant), std=1.0)
    constant = torch.randn(1, 72, 1, 1)
    out = up(constant.expand(2, 72, 4, 5))
    torch.testing.assert_close(out, constant.expand_as(out), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('s', [1, 2, 3, 4, 5])
@pytest.mark.parametrize('groups', [1, 4])
def test_layout_of_init_pos(s, groups):
    """x before y, groups, rows, columns; the columns of x differ and the rows of y."""
    up = DySample(4, s, groups=groups)
    assert up.init_pos.shape == (1, 2 * groups * s * s, 1, 1)
    assert 'init_pos' in up.state_dict()
    positions = up.init_pos.view(2, groups, s, s).numpy()
    step = ((np.arange(s) - (s - 1) / 2) / s).astype(np.float32)
    for g in range(groups):
        np.testing.assert_allclose(positions[0, g], np.tile(step, (s, 1)), atol=1e-7)
        np.testing.assert_allclose(positions[1, g], np.tile(step, (s, 1)).T, atol=1e-7)


@pytest.mark.parametrize(('args', 'numel', 'weights'), PAPER.values(), ids=PAPER)
def test_parameter_counts_of_the_paper(args, numel, weights):
    up = DySample(256, **args)
    assert sum(p.numel() for p in up.parameters()) == numel
    assert sum(p.numel() for p in up.parameters() if p.dim() > 1) == weights


@pytest.mark.parametrize(('name', 'weights'), [('dysample', 46080), ('dysample+', 92160),
                                               ('dysample-s', 5760), ('dysample-s+', 11520)])
def test_weight_counts_of_depthformer(name, weights):
    """Table 9 of the paper: four stages of 768, 384, 192 and 96 channels."""
    ups = [DySample(channels, **PAPER[name][0]) for channels in (768, 384, 192, 96)]
    assert sum(p.numel() for up in ups for p in up.parameters() if p.dim() > 1) == weights


def test_initial_weights():
    up = DySample(256, groups=8, dyscope=True)
    assert up.offset.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert abs(up.offset.weight.mean().item()) < 1e-4
    for zero in (up.offset.bias, up.scope.weight, up.scope.bias):
        assert not zero.any()


@pytest.mark.parametrize(('args', 'keys'), [
    (dict(), ['init_pos', 'offset.bias', 'offset.weight']),
    (dict(dyscope=True), ['init_pos', 'offset.bias', 'offset.weight', 'scope.bias',
                          'scope.weight']),
])
def test_keys_are_the_authors(args, keys):
    assert sorted(DySample(16, **args).state_dict()) == keys


@pytest.mark.parametrize('prefix', ['', 'neck.up.'])
def test_checkpoint_without_scope_bias_loads_as_zero(prefix, randomise):
    """The authors' later code has no such bias. The checkpoint itself stays as it was."""
    up, other = (randomise(DySample(16, dyscope=True)) for _ in range(2))
    torch.nn.init.zeros_(up.scope.bias)
    host = torch.nn.ModuleDict(dict(neck=torch.nn.ModuleDict(dict(up=other))))
    checkpoint = {prefix + key: value for key, value in up.state_dict().items()
                  if key != 'scope.bias'}
    (host if prefix else other).load_state_dict(checkpoint, strict=True)
    assert len(checkpoint) == 4
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(up(x), other(x))


def test_checkpoint_with_scope_bias_keeps_it(randomise):
    up, other = (randomise(DySample(16, dyscope=True)) for _ in range(2))
    other.load_state_dict(up.state_dict(), strict=True)
    assert torch.equal(up.scope.bias, other.scope.bias)


@pytest.mark.parametrize('args', [a for a, _, _ in PAPER.values()], ids=PAPER)
@pytest.mark.parametrize('mode', ['float16', 'bfloat16', 'autocast'])
def test_low_precision_on_1024_columns(args, mode, randomise):
    """No worse than its number format; coordinates in half precision would be off by pixels.

    The reference is float64 with the same rounded weights and inputs. Allowed are:
    * half a step of the output's format, at the value's own magnitude;
    * what the linear layers' rounding moves a point, times the steepest slope of the map: an
      output v of a layer is off by eps*|v|/2 (rounded once) plus, as accumulators may be of the
      format itself, eps/2 per addend: eps/2 * (C+1) * sum|w*x|. Sigmoid's slope is at most 1/4.
    * float32's error in a coordinate, a few 2^-24 of 1024 columns.
    """
    c, w = 32, 1024
    dtype = torch.float16 if mode == 'float16' else torch.bfloat16
    up = randomise(DySample(c, **args), std=0.2)
    x = torch.randn(1, c, 3, w).to(dtype)
    if mode == 'autocast':  # float32 weights, cast inside
        with torch.autocast('cpu', dtype):
            out = up(x)
        up = up.to(dtype)
    else:
        up = up.to(dtype)
        out = up(x)
    assert out.dtype == dtype
    up = up.double()
    exact = up(x.double())

    features = x.double() if up.style == 'lp' else F.pixel_shuffle(x.double(), 2)
    eps = torch.finfo(dtype).eps

    def rounding(layer):
        value = layer(features).abs()
        terms = F.conv2d(features.abs(), layer.weight.abs(), layer.bias.abs())
        return eps / 2 * (value + terms)

    shift = rounding(up.offset) * (0.5 if up.scope is not None else 0.25)
    if up.scope is not None:
        shift += 0.5 * up.offset(features).abs() * rounding(up.scope) / 4
    shift = shift.amax().item() + 8 * w * 2**-24
    tolerance = eps / 2 * exact.abs() + 2 * shift * steepest_slope(x.double())
    error = (out.double() - exact).abs()
    assert (error <= tolerance).all(), (error - tolerance).max()
    # What coordinates in the format itself would cost: a step of 0.5 (float16) or 4 columns.
    assert tolerance.max() < 0.25 * w * eps * steepest_slope(x.double())


def steepest_slope(x):
    return max(x.diff(dim=-1).abs().max().item(), x.diff(dim=-2).abs().max().item())


@pytest.mark.parametrize(('args', 'channels', 's', 'message'), [
    (dict(groups=3), 16, 2, 'in_channels=16, groups=3'),
    (dict(groups=0), 16, 2, 'groups=0'),
    (dict(groups=32), 16, 2, 'in_channels=16, groups=32'),
    (dict(groups=2.0), 16, 2, 'groups=2.0'),
    (dict(style='pl'), 12, 3, 'in_channels=12, scale_factor=3'),
    (dict(style='pl', groups=1), 2, 2, 'in_channels=2, scale_factor=2'),
    (dict(style='xy'), 16, 2, "style='xy'"),
    (dict(static=True, style='pl'), 16, 2, "style='pl'"),
    (dict(static=True, dyscope=True), 16, 2, 'dyscope=True'),
])
def test_impossible_arguments_are_refused(args, channels, s, message):
    with pytest.raises(ValueError, match=message):
        DySample(channels, s, **args)


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('groups', [1, 4])
def test_static_points_are_the_same_at_every_pixel(s, groups, bilinear_at):
    """Pixel by pixel, points moved by up to pixels; the parameter is all that there is to learn."""
    up = DySample(8, s, static=True, groups=groups).double()
    torch.nn.init.normal_(up.offset, std=5.0)
    sizes = {key: p.numel() for key, p in up.named_parameters()}
    assert sizes == dict(offset=2 * groups * s * s)
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    offset = up.offset.detach().view(2, groups, s, s) * 0.25
    expected = torch.empty(2, 8, 3 * s, 4 * s, dtype=torch.float64)
    for n, g, row, column in np.ndindex(2, groups, 3 * s, 4 * s):
        a, b = row % s, column % s
        dx, dy = offset[:, g, a, b]
        maps = slice(g * 8 // groups, (g + 1) * 8 // groups)
        expected[n, maps, row, column] = bilinear_at(
            x[n, maps], row // s + (a - (s - 1) / 2) / s + dy,
            column // s + (b - (s - 1) / 2) / s + dx)
    # 1/3 is kept in float32.
    torch.testing.assert_close(up(x), expected, rtol=0, atol=1e-12 if s < 3 else 1e-6)


def test_static_starts_at_bilinear_interpolation():
    up, x = DySample(16, static=True), torch.randn(1, 16, 6, 5)
    assert 0 < up.offset.abs().max() < 0.01
    torch.testing.assert_close(up(x), F.interpolate(x, scale_factor=2, mode='bilinear'), rtol=0,
                               atol=0.01)
