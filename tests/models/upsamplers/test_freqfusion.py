"""FreqFusion: counts, keys, initial values, and the paper's formulas pixel by pixel in float64."""
import numpy as np
import pytest
import torch

from mmups.models import FreqFusion, build_upsampler

pytestmark = pytest.mark.usefixtures('every_backend')


def double(in_channels=4, guide_channels=4, scale_factor=2, std=0.3, **args):
    """In float64, with weights large enough for every term to matter."""
    args = {**dict(compressed_channels=8, groups=2), **args}
    up = FreqFusion(in_channels, scale_factor, guide_channels, **args).double()
    for parameter in up.parameters():
        torch.nn.init.normal_(parameter, std=std)
    if args.get('hamming', True):  # float64's, not float32's in float64
        for window in (up.hamming_lowpass, up.hamming_highpass):
            row = np.hamming(window.shape[-1])
            window.copy_(torch.from_numpy(np.outer(row, row)))
    return up


# --- the formulas, in loops over pixels of one sample --------------------------------------------


def pixels(x):
    _, h, w = x.shape
    return [(i, j) for i in range(h) for j in range(w)]


def at(x, i, j):
    """A pixel's channels, zeros outside of the map."""
    _, h, w = x.shape
    return x[:, i, j] if 0 <= i < h and 0 <= j < w else torch.zeros_like(x[:, 0, 0])


def assemble(values, h, w):
    return torch.stack(values, dim=1).reshape(len(values[0]), h, w)


def conv(layer, x):
    reach = layer.kernel_size[0] // 2
    steps = range(-reach, reach + 1)
    values = [layer.bias + sum(layer.weight[:, :, reach + a, reach + b] @ at(x, i + a, j + b)
                               for a in steps for b in steps) for i, j in pixels(x)]
    return assemble(values, *x.shape[1:])


def kernel(logits, hamming):
    """Softmax over the taps of one pixel, times the window, normalised again."""
    weights = logits.exp() / logits.exp().sum()
    if hamming:
        row = np.hamming(int(len(logits)**0.5))
        weights = weights * torch.from_numpy(np.outer(row, row)).flatten()
    return weights / weights.sum()


def reassembled(x, logits, s, hamming):
    reach = int(len(logits)**0.5) // 2
    steps = range(-reach, reach + 1)
    values = []
    for i, j in pixels(logits):
        weights = iter(kernel(logits[:, i, j], hamming))
        values.append(sum(next(weights) * at(x, i // s + a, j // s + b)
                          for a in steps for b in steps))
    return assemble(values, *logits.shape[1:])


def similarities(x):
    values = []
    for i, j in pixels(x):
        found = []
        for a in (-2, 0, 2):
            for b in (-2, 0, 2):
                if (a, b) != (0, 0):
                    here, there = at(x, i, j), at(x, i + a, j + b)
                    length = here.norm().clamp(min=1e-8) * there.norm().clamp(min=1e-8)
                    found.append(here @ there / length)
        values.append(torch.stack(found))
    return assemble(values, *x.shape[1:])


def group_norm(x, norm):
    if isinstance(norm, torch.nn.Identity):
        return x
    parts = []
    for part in x.split(8):
        centred = part - part.mean()
        parts.append(centred / (centred.square().mean() + 1e-5).sqrt())
    return torch.cat(parts) * norm.weight[:, None, None] + norm.bias[:, None, None]


def moved(up, x, fine, coarse, s, similarity):
    """Pixels of ``x`` (fine) sampled where the points of the coarse grid have moved."""
    points, (_, h, w) = up.dysampler, coarse.shape
    both = []
    for y, norm, offset, scale in (
            (fine, points.norm_hr, points.hr_offset, points.hr_direct_scale),
            (coarse, points.norm_lr, points.offset, points.direct_scale)):
        y = group_norm(y, norm)
        similar = similarities(y)
        if similarity == 'concat':
            similar = y = torch.cat((y, similar))
        both.append((conv(offset, similar), conv(scale, y)))
    (fine_offset, fine_scale), (coarse_offset, coarse_scale) = both
    groups, values = points.groups, []
    for row, column in pixels(x):
        i, a, j, b = row // s, row % s, column // s, column % s
        parts = []
        for g, part in enumerate(x.chunk(groups)):
            place = []
            for coordinate, cell, phase in ((0, j, b), (1, i, a)):
                channel = coordinate * groups + g
                index = (channel * s + a) * s + b
                offset = coarse_offset[index, i, j] + fine_offset[channel, row, column]
                scale = coarse_scale[index, i, j] + fine_scale[channel, row, column]
                start = (phase - (s - 1) / 2) / s
                place.append(cell + 0.5 + offset / (1 + (-scale).exp()) + start)
            parts.append(bilinear(part, place[1] / h, place[0] / w))
        values.append(torch.cat(parts))
    return assemble(values, *x.shape[1:])


def bilinear(x, row, column):
    """At a place in units of the map, clamped to its outermost pixels."""
    _, height, width = x.shape
    row = (row * height - 0.5).clamp(0, height - 1)
    column = (column * width - 0.5).clamp(0, width - 1)
    value = 0
    for i in range(height):
        for j in range(width):
            near = (1 - (row - i).abs()).clamp(min=0) * (1 - (column - j).abs()).clamp(min=0)
            if near > 0:
                value = value + near * x[:, i, j]
    return value


def fused(up, x, y, s, similarity='concat', hamming=True):
    """The upsampled map and the sharpened guide of one sample."""
    first, second = up.content_encoder, up.content_encoder2
    a, b = conv(up.hr_channel_compressor, y), conv(up.lr_channel_compressor, x)
    high = conv(second, a)
    a = 2 * a - reassembled(a, high, 1, hamming)
    low = conv(first, a)
    low = low + reassembled(conv(first, b), low, s, hamming)
    high = high + reassembled(conv(second, b), low, s, hamming)
    out = moved(up, reassembled(x, low, s, hamming), a, b, s, similarity)
    return out, 2 * y - reassembled(y, high, 1, hamming)


@pytest.mark.parametrize('args', [
    dict(), dict(similarity='only', hamming=False), dict(norm=False, compressed_channels=6),
    dict(guide_channels=3, groups=1), dict(scale_factor=3, groups=4)], ids=str)
def test_formula(args):
    """Values, and gradients of the maps and of every parameter."""
    up = double(**args)
    s = up.scale_factor
    w = 3 if s == 2 else 1
    x = torch.randn(2, 4, 2, w, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, up.guide_channels, 2 * s, w * s, dtype=torch.float64, requires_grad=True)
    options = {key: args[key] for key in ('similarity', 'hamming') if key in args}
    samples = [fused(up, *maps, s, **options) for maps in zip(x, y)]
    expected = [torch.stack(maps) for maps in zip(*samples)]
    outs = up.fuse(x, y)
    for out, reference in zip(outs, expected):
        torch.testing.assert_close(out, reference, rtol=0, atol=1e-10)
    total = sum(expected) if up.includes_guide else expected[0]
    torch.testing.assert_close(up(x, y), total, rtol=0, atol=1e-10)
    assert up.includes_guide == (up.guide_channels == 4)

    variables = [x, y, *up.parameters()]
    upstream = [torch.randn_like(out) for out in outs]
    for grad, reference in zip(torch.autograd.grad(outs, variables, upstream),
                               torch.autograd.grad(expected, variables, upstream)):
        torch.testing.assert_close(grad, reference, rtol=1e-8, atol=1e-8)


def still(up):
    """Points that stay where they are."""
    for layer in (up.dysampler.offset, up.dysampler.hr_offset):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return up


def test_points_that_do_not_move_leave_the_low_pass_alone():
    up = still(double())
    x, y = torch.randn(4, 3, 4).double(), torch.randn(4, 6, 8).double()
    a, b = conv(up.hr_channel_compressor, y), conv(up.lr_channel_compressor, x)
    a = 2 * a - reassembled(a, conv(up.content_encoder2, a), 1, True)
    low = conv(up.content_encoder, a)
    low = low + reassembled(conv(up.content_encoder, b), low, 2, True)
    torch.testing.assert_close(up.fuse(x[None], y[None])[0][0], reassembled(x, low, 2, True),
                               rtol=0, atol=1e-10)


def test_constant_maps():
    """They stay constant inside; the zero border takes mass from the windows, and so from the
    upsampled map, and gives it to the guide, which is sharpened against it."""
    up = still(FreqFusion(8, guide_channels=8))
    for layer in (up.content_encoder, up.content_encoder2):
        torch.nn.init.zeros_(layer.weight)
    out, guide = up.fuse(torch.ones(1, 8, 6, 7), torch.ones(1, 8, 12, 14))
    torch.testing.assert_close(out[..., 4:-4, 4:-4], torch.ones(1, 8, 4, 6))
    torch.testing.assert_close(guide[..., 1:-1, 1:-1], torch.ones(1, 8, 10, 12))
    low, high = (1 + 0.54 + 0.08) / (1 + 2 * 0.54 + 2 * 0.08), (1 + 0.08) / (1 + 2 * 0.08)
    for corner in (0, -1):
        torch.testing.assert_close(out[0, :, corner, corner], torch.full((8, ), low**2))
        torch.testing.assert_close(out[0, :, 5, corner], torch.full((8, ), low))
        torch.testing.assert_close(guide[0, :, corner, corner], torch.full((8, ), 2 - high**2))


# --- what the authors' checkpoints need ----------------------------------------------------------


@pytest.mark.parametrize('args, parameters', [
    (dict(), 104690), (dict(norm=False), 104434), (dict(groups=8), 156610)], ids=str)
def test_counts(args, parameters):
    up = build_upsampler(dict(type='FreqFusion', **args), 256, 256)
    assert sum(p.numel() for p in up.parameters()) == parameters


@pytest.mark.parametrize('guide, coarse, channels', [(160, 256, 104), (64, 416, 120)])
def test_counts_of_segnext(guide, coarse, channels):
    """The paper's formula for its other form of the points, by hand."""
    up = FreqFusion(coarse, guide_channels=guide, compressed_channels=channels,
                    similarity='only', hamming=False)
    kernels = (guide + coarse + 2) * channels + (9 * channels + 1) * (25 + 9)
    points = (32 + 8) * (9 * 8 + 1 + 9 * channels + 1) + 4 * channels
    assert sum(p.numel() for p in up.parameters()) == kernels + points


SHAPES = {
    'hr_channel_compressor.weight': (64, 32, 1, 1), 'hr_channel_compressor.bias': (64, ),
    'lr_channel_compressor.weight': (64, 48, 1, 1), 'lr_channel_compressor.bias': (64, ),
    'content_encoder.weight': (25, 64, 3, 3), 'content_encoder.bias': (25, ),
    'content_encoder2.weight': (9, 64, 3, 3), 'content_encoder2.bias': (9, ),
    'hamming_lowpass': (1, 1, 5, 5), 'hamming_highpass': (1, 1, 3, 3),
    'dysampler.offset.weight': (32, 72, 3, 3), 'dysampler.offset.bias': (32, ),
    'dysampler.direct_scale.weight': (32, 72, 3, 3), 'dysampler.direct_scale.bias': (32, ),
    'dysampler.hr_offset.weight': (8, 72, 3, 3), 'dysampler.hr_offset.bias': (8, ),
    'dysampler.hr_direct_scale.weight': (8, 72, 3, 3), 'dysampler.hr_direct_scale.bias': (8, ),
    'dysampler.norm_hr.weight': (64, ), 'dysampler.norm_hr.bias': (64, ),
    'dysampler.norm_lr.weight': (64, ), 'dysampler.norm_lr.bias': (64, ),
    'dysampler.init_pos': (1, 32, 1, 1),
}


@pytest.mark.parametrize('args, other', [
    (dict(), {}),
    (dict(hamming=False), {'hamming_lowpass': (1, ), 'hamming_highpass': (1, )}),
    (dict(norm=False), {key: None for key in SHAPES if '.norm_' in key}),
    (dict(similarity='only'), {
        'dysampler.offset.weight': (32, 8, 3, 3), 'dysampler.hr_offset.weight': (8, 8, 3, 3),
        'dysampler.direct_scale.weight': (32, 64, 3, 3),
        'dysampler.hr_direct_scale.weight': (8, 64, 3, 3)}),
], ids=str)
def test_the_authors_keys_load(args, other):
    """All of them and no other, buffers too."""
    up = FreqFusion(48, guide_channels=32, **args)
    shapes = {key: shape for key, shape in {**SHAPES, **other}.items() if shape is not None}
    up.load_state_dict({key: torch.rand(shape) for key, shape in shapes.items()}, strict=True)


def test_windows():
    up = FreqFusion(8, guide_channels=8)
    for window, size in ((up.hamming_lowpass, 5), (up.hamming_highpass, 3)):
        row = np.hamming(size)
        torch.testing.assert_close(window[0, 0], torch.from_numpy(np.outer(row, row)).float())
    plain = FreqFusion(8, guide_channels=8, hamming=False)
    assert plain.hamming_lowpass.tolist() == plain.hamming_highpass.tolist() == [1]


@pytest.mark.parametrize('offset_init, offsets, scales', [('xavier', 0.0465, 0.053),
                                                          ('small', 0.001, 0)])
def test_initial_values(offset_init, offsets, scales):
    """Standard deviations of the points' layers, those of the kernels' in either case; the first
    pair was measured on the authors' code."""
    up = FreqFusion(256, guide_channels=256, offset_init=offset_init)
    points = up.dysampler
    deviation = [layer.weight.std().item() for layer in (
        points.offset, points.hr_direct_scale, up.content_encoder, up.content_encoder2)]
    assert deviation == pytest.approx([offsets, scales, 0.001, 0.001], rel=0.05)
    compressor = (6 / (256 + 64))**0.5
    assert compressor * 0.99 < up.hr_channel_compressor.weight.abs().max() <= compressor
    assert not any(layer.bias.any() for layer in up.modules()
                   if isinstance(layer, torch.nn.Conv2d))


def test_small_offsets_start_as_the_low_pass():
    """Almost; the other start moves a random map by as much as its own deviation."""
    x, y = torch.randn(1, 32, 8, 8), torch.randn(1, 32, 16, 16)
    moves = {}
    for offset_init in ('small', 'xavier'):
        torch.manual_seed(0)
        up = FreqFusion(32, guide_channels=32, offset_init=offset_init)
        out, _ = up.fuse(x, y)
        moves[offset_init] = (out - still(up).fuse(x, y)[0]).abs().max()
    assert 4 * moves['small'] < moves['xavier'] > 0.3


@pytest.mark.parametrize('args, message', [
    (dict(similarity='cos'), "'concat' or 'only', got similarity='cos'"),
    (dict(offset_init='zero'), "'xavier' or 'small', got offset_init='zero'"),
    (dict(compressed_channels=12), 'compressed_channels=12; set norm=False'),
    (dict(groups=3), 'in_channels=32, groups=3')], ids=str)
def test_refusals(args, message):
    with pytest.raises(ValueError, match=message):
        FreqFusion(32, guide_channels=32, **args)


# --- the guide that comes back -------------------------------------------------------------------


@pytest.mark.parametrize('size', [(5, 7), (6, 8), (7, 9)], ids=str)
def test_fuse_keeps_the_guides_form(size):
    """Its size, dtype and memory format, whatever those of the map are."""
    up = FreqFusion(8, guide_channels=16, compressed_channels=8, groups=2)
    x = torch.randn(2, 8, 3, 4, dtype=torch.bfloat16)
    guide = torch.randn(2, 16, *size).contiguous(memory_format=torch.channels_last)
    with torch.autocast('cpu', torch.bfloat16):
        out, enhanced = up.fuse(x, guide, (6, 7))
    assert out.shape == (2, 8, 6, 7) and out.dtype == torch.bfloat16
    assert enhanced.shape == guide.shape and enhanced.dtype == torch.float32
    assert enhanced.is_contiguous(memory_format=torch.channels_last)


def test_fuse_of_others_gives_the_guide_back(case):
    if case.cls.enhances_guide:
        pytest.skip('changes it')
    up = case.build().eval()
    x, guide = torch.randn(2, case.channels, 5, 6), torch.randn(2, case.channels, 9, 12)
    out, same = up.fuse(x, guide)
    assert same is guide
    assert torch.equal(out, up(x, guide))
