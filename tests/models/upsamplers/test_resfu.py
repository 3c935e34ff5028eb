"""ReSFU: each fine pixel by loops in float64, counts, keys, ratios, border, and how it starts."""
import math

import pytest
import torch
import torch.nn.functional as F

from mmups.models import ReSFU


def every_pixel(function, h, w):
    pixels = [function(i, j) for i in range(h) for j in range(w)]
    return torch.stack(pixels, dim=-1).reshape(-1, h, w)


def conv1x1(conv, maps):
    groups = [weight @ part.flatten(1) for weight, part in zip(
        conv.weight[:, :, 0, 0].chunk(conv.groups), maps.chunk(conv.groups))]
    return (torch.cat(groups) + conv.bias[:, None]).unflatten(1, maps.shape[1:])


def group_norm(norm, maps):
    parts = []
    for part in maps.chunk(norm.num_groups):
        variance = (part - part.mean()).square().mean()
        parts.append((part - part.mean()) / (variance + norm.eps).sqrt())
    return torch.cat(parts) * norm.weight[:, None, None] + norm.bias[:, None, None]


def window_mean(maps, i, j, radius):
    return maps[:, max(i - radius, 0):i + radius + 1, max(j - radius, 0):j + radius + 1].mean(
        dim=(1, 2))


def resfu_by_loop(up, x, guide, bilinear_at):
    """One (Cx, h, w) and one (Cy, H, W)."""
    (h, w), (height, width), s = x.shape[1:], guide.shape[1:], up.scale_factor

    def place(i, j, size):
        """Where a fine pixel lies on a map of another size."""
        return (torch.tensor((i + 0.5) * size[0] / height - 0.5, dtype=torch.float64),
                torch.tensor((j + 0.5) * size[1] / width - 0.5, dtype=torch.float64))

    def resized(maps):
        return every_pixel(lambda i, j: bilinear_at(maps, *place(i, j, maps.shape[1:])), height,
                           width)

    def near(maps, i, j):
        return maps[:, min(max(i, 0), height - 1), min(max(j, 0), width - 1)]

    query = conv1x1(up.q, group_norm(up.norm_y, guide))
    key = resized(conv1x1(up.k, group_norm(up.norm_x, x)))

    gauss = {(a, b): math.exp(-(a * a + b * b) / 2) for a in (-1, 0, 1) for b in (-1, 0, 1)}
    smooth = every_pixel(lambda i, j: sum(weight * near(query, i + a, j + b)
                                          for (a, b), weight in gauss.items())
                         / sum(gauss.values()), height, width)

    rows, columns = (max(n // 2, 1) for n in (height, width))
    low_q, low_k = (every_pixel(lambda i, j, maps=maps: maps[:, 2 * i, 2 * j], rows, columns)
                    for maps in (query, key))

    def slope_and_shift(i, j):
        mean_q, mean_k, mean_qk, mean_qq = (window_mean(maps, i, j, 4) for maps in (
            low_q, low_k, low_q * low_k, low_q * low_q))
        slope = (mean_qk - mean_q * mean_k) / (mean_qq - mean_q**2 + 0.001)
        return torch.cat((slope, mean_k - slope * mean_q))

    coefficients = every_pixel(slope_and_shift, rows, columns)
    means = every_pixel(lambda i, j: window_mean(coefficients, i, j, 4), rows, columns)
    slopes, shifts = resized(means).chunk(2)
    filtered = slopes * query + shifts

    def scores(module, key, query):
        key, query = group_norm(module.norm, key), group_norm(module.norm, query)

        def hidden(i, j):
            total = module.bias.flatten()
            for a in range(3):
                for b in range(3):
                    difference = near(key, i + s * (a - 1), j + s * (b - 1)) - query[:, i, j]
                    total = total + torch.cat([
                        weight @ part for weight, part in zip(
                            module.weight[:, :, a, b].chunk(4), difference.chunk(4))])
            return total

        compressor = module.channel_compressor
        out = every_pixel(hidden, height, width).clamp(min=0)
        out = group_norm(compressor[3], conv1x1(compressor[1], out).clamp(min=0))
        return conv1x1(compressor[4], out)

    total = scores(up.semantic_scores, key, filtered) + scores(up.detail_scores, smooth, query)

    def pixel(i, j):
        taps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        inside = torch.tensor([0 <= i + s * a < height and 0 <= j + s * b < width
                               for a, b in taps])
        weights = total[:, i, j][inside].softmax(0)
        row, column = place(i, j, (h, w))
        samples = [bilinear_at(x, row + a, column + b)
                   for (a, b), counts in zip(taps, inside) if counts]
        return sum(weight * sample for weight, sample in zip(weights, samples))

    return every_pixel(pixel, height, width)


@pytest.mark.parametrize('s, size', [(2, (6, 8)), (3, (9, 12)), (4, (12, 16)), (2, (5, 7)),
                                     (4, (10, 13)), (1, (3, 4)), (2, (13, 9))], ids=str)
def test_equals_formula_with_all_gradients(s, size, randomise, bilinear_at, equal_with_gradients):
    """Whole ratios and others; the gradient of the map at its border is that of the sum."""
    up = randomise(ReSFU(8, s, 4, embedding_dim=8), std=0.5).double()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(1, 4, *size, dtype=torch.float64, requires_grad=True)
    got, expected = up(x, guide, size), resfu_by_loop(up, x[0], guide[0], bilinear_at)[None]
    variables = dict(x=x, guide=guide, **dict(up.named_parameters()))
    equal_with_gradients(got, expected, variables, atol=1e-9, gradients=1e-7)


@pytest.mark.parametrize('s', [2, 8])
@pytest.mark.parametrize(('channels', 'guide_channels', 'parameters'), [
    (256, 256, 47570), (384, 32, 44306), (256, 32, 39954)])
def test_parameter_counts(channels, guide_channels, parameters, s):
    """At every ratio the same."""
    up = ReSFU(channels, s, guide_channels)
    assert sum(p.numel() for p in up.parameters()) == parameters


def test_state_dict_is_the_authors():
    state = {key: tuple(value.shape) for key, value in ReSFU(256, 2, 64).state_dict().items()}
    expected = {
        'norm_y.weight': (64, ), 'norm_y.bias': (64, ), 'norm_x.weight': (256, ),
        'norm_x.bias': (256, ), 'q.weight': (32, 64, 1, 1), 'q.bias': (32, ),
        'k.weight': (32, 256, 1, 1), 'k.bias': (32, ), 'GF.kernel': (32, 1, 1, 9)}
    for name in ('semantic_scores', 'detail_scores'):
        expected |= {f'{name}.{key}': shape for key, shape in {
            'norm.weight': (32, ), 'norm.bias': (32, ), 'weight': (128, 8, 3, 3),
            'bias': (1, 128, 1, 1), 'channel_compressor.1.weight': (128, 32, 1, 1),
            'channel_compressor.1.bias': (128, ), 'channel_compressor.3.weight': (128, ),
            'channel_compressor.3.bias': (128, ), 'channel_compressor.4.weight': (9, 128, 1, 1),
            'channel_compressor.4.bias': (9, )}.items()}
    assert state == expected


def test_initial_weights():
    up = ReSFU(256, 2, 256)
    assert up.semantic_scores.weight.std().item() == pytest.approx((2 / 1152)**0.5, rel=0.05)
    for conv in (up.q, up.k, up.detail_scores.channel_compressor[1]):
        assert conv.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not conv.bias.any()
    assert not up.detail_scores.bias.any()
    assert (up.GF.kernel == 1).all()
    for norm in (up.norm_x, up.norm_y, up.semantic_scores.norm):
        assert (norm.weight == 1).all() and not norm.bias.any()


@pytest.mark.parametrize('s, size', [(2, (10, 14)), (4, (17, 25)), (8, (40, 56)), (2, (31, 9))])
def test_constant_stays_constant(s, size, randomise):
    """Whatever the weights and the ratio, at the border too."""
    up = randomise(ReSFU(16, s, 8), std=1.0)
    constant = torch.randn(1, 16, 1, 1)
    out = up(constant.expand(2, 16, 5, 7), torch.randn(2, 8, *size))
    torch.testing.assert_close(out, constant.expand_as(out), rtol=1e-5, atol=1e-5)


def test_starts_as_a_smooth_interpolation():
    """Equal weights: the mean of 3x3 bilinear samples, but for what lies beyond the border."""
    up, x = ReSFU(16, 4, 8).double(), torch.randn(1, 16, 6, 7, dtype=torch.float64)
    for module in (up.semantic_scores, up.detail_scores):
        torch.nn.init.zeros_(module.channel_compressor[4].weight)
    out = up(x, torch.randn(1, 8, 24, 28, dtype=torch.float64))
    mean = F.avg_pool2d(x, 3, stride=1)
    expected = F.interpolate(mean, scale_factor=4, mode='bilinear')
    torch.testing.assert_close(out[..., 6:-6, 6:-6], expected[..., 2:-2, 2:-2], rtol=0,
                               atol=1e-12)


def test_a_single_pixel():
    """Of one sample with as many channels as groups, which PyTorch's group norm refuses."""
    up, x = ReSFU(16, 2, 8), torch.randn(1, 16, 1, 1)
    torch.testing.assert_close(up(x, torch.randn(1, 8, 2, 2)), x.expand(1, 16, 2, 2))
    torch.testing.assert_close(ReSFU(16, 1, 8)(x, torch.randn(1, 8, 1, 1)), x)


@pytest.mark.parametrize(('channels', 'guide_channels', 'args', 'message'), [
    (48, 32, dict(), 'in_channels divisible by 32.*in_channels=48'),
    (32, 33, dict(), 'guide_channels divisible by 32.*guide_channels=33'),
    (32, 32, dict(embedding_dim=12), 'embedding_dim=12'),
    (32, None, dict(), 'ReSFU needs a guide'),
])
def test_impossible_arguments_are_refused(channels, guide_channels, args, message):
    with pytest.raises(ValueError, match=message):
        ReSFU(channels, 2, guide_channels, **args)
