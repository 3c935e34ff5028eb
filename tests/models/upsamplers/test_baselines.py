"""Deconv, PixelShuffle and Interpolate against their definitions."""
import pytest
import torch
import torch.nn.functional as F

from mmups.models import Deconv, Interpolate, PixelShuffle

pytestmark = pytest.mark.usefixtures('every_backend')


def assert_same_with_gradients(got, expected, variables):
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(got)
    for ours, theirs in zip(torch.autograd.grad(got, variables, upstream),
                            torch.autograd.grad(expected, variables, upstream)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize(('s', 'kernel'), [(2, 2), (2, 3), (2, 4), (2, 5), (3, 3), (3, 4), (4, 4),
                                           (4, 7)])
def test_deconv_equals_definition(s, kernel, scatter):
    up = Deconv(3, s, kernel_size=kernel).double()
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    expected = scatter(x, up.weight, up.bias, s, (kernel - 1) // 2)
    assert_same_with_gradients(up(x), expected, [x, up.weight, up.bias])


def test_deconv_starts_as_pytorchs():
    """Same bound as nn.ConvTranspose2d, whose fan in is that of its weight's second axis."""
    ours, theirs = Deconv(64), torch.nn.ConvTranspose2d(64, 64, 3)
    for name in ('weight', 'bias'):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a.abs().max().item() == pytest.approx(b.abs().max().item(), rel=0.1)
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.02)


def pixel_shuffle_by_loop(up, x):
    n, c, h, w = x.shape
    s = up.scale_factor
    weight, bias = (up.get_parameter(key) for key in ('0.weight', '0.bias'))
    r = weight.shape[-1] // 2
    pixels = []
    for row in range(s * h):
        for column in range(s * w):
            i, j, a, b = row // s, column // s, row % s, column % s
            filters = [k * s * s + a * s + b for k in range(c)]
            value = bias[filters].expand(n, -1)
            for di in range(-r, r + 1):
                for dj in range(-r, r + 1):
                    if 0 <= i + di < h and 0 <= j + dj < w:
                        tap = weight[filters, :, di + r, dj + r]
                        value = value + x[:, :, i + di, j + dj] @ tap.T
            pixels.append(value)
    return torch.stack(pixels, dim=-1).reshape(n, c, s * h, s * w)


@pytest.mark.parametrize(('s', 'kernel'), [(1, 3), (2, 1), (2, 3), (2, 5), (3, 3), (4, 3)])
def test_pixel_shuffle_equals_definition(s, kernel):
    up = PixelShuffle(3, s, kernel_size=kernel).double()
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert_same_with_gradients(up(x), pixel_shuffle_by_loop(up, x), [x, *up.parameters()])


@pytest.mark.parametrize(('cls', 'keys', 'numel', 'weights'), [
    (Deconv, ['weight', 'bias'], 590080, 589824),
    (PixelShuffle, ['0.weight', '0.bias'], 2360320, 2359296),
    (Interpolate, [], 0, 0),
])
def test_keys_and_counts_of_the_paper(cls, keys, numel, weights):
    up = cls(256)
    assert list(up.state_dict()) == keys
    assert sum(p.numel() for p in up.parameters()) == numel
    assert sum(p.numel() for p in up.parameters() if p.dim() > 1) == weights


@pytest.mark.parametrize(('cls', 'weights'), [(Deconv, 7050240), (PixelShuffle, 28200960)])
def test_weight_counts_of_depthformer(cls, weights):
    ups = [cls(channels) for channels in (768, 384, 192, 96)]
    assert sum(p.numel() for up in ups for p in up.parameters() if p.dim() > 1) == weights


PLAIN, CORNERED = ('nearest', 'nearest-exact', 'area'), ('bilinear', 'bicubic')


@pytest.mark.parametrize(('mode', 'align_corners'), [
    *((mode, given) for mode in PLAIN for given in (None, False)),
    *((mode, given) for mode in CORNERED for given in (None, False, True))])
@pytest.mark.parametrize('size', [None, (10, 12), (9, 11), (23, 40), (3, 3)], ids=str)
def test_interpolate_is_pytorchs(mode, align_corners, size):
    """Bit for bit, to any size, in one step; align_corners=None means False."""
    up = Interpolate(4, mode=mode, align_corners=align_corners)
    x = torch.randn(2, 4, 5, 6)
    expected = F.interpolate(x, size=size or (10, 12), mode=mode,
                             align_corners=align_corners if mode in CORNERED else None)
    assert torch.equal(up(x, size=size), expected)
    if size is not None:
        assert torch.equal(up(x, guide=torch.randn(2, 3, *size)), expected)


@pytest.mark.parametrize(('cls', 's', 'args', 'message'), [
    (Deconv, 2, dict(kernel_size=1), 'kernel_size=1, scale_factor=2'),
    (Deconv, 4, dict(), 'kernel_size=3, scale_factor=4'),
    (Deconv, 1, dict(), 'kernel_size=3, scale_factor=1'),
    (Deconv, 2, dict(kernel_size=3.0), 'kernel_size=3.0'),
    (PixelShuffle, 2, dict(kernel_size=2), 'kernel_size=2'),
    (PixelShuffle, 2, dict(kernel_size=-1), 'kernel_size=-1'),
    (Interpolate, 2, dict(mode='cubic'), "mode='cubic'"),
    *((Interpolate, 2, dict(mode=mode, align_corners=True), f"align_corners=True .* mode='{mode}'")
      for mode in PLAIN),
])
def test_impossible_arguments_are_refused(cls, s, args, message):
    with pytest.raises(ValueError, match=message):
        cls(16, s, **args)
