"""Shift consistency of toys whose answer is known, and equivariance of upsamplers."""
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmups.evaluation import equivariance_error, shift_agreements, shift_consistency, shift_image

SHIFTS = [(1, 0), (0, 2), (-3, 4), (2, -1)]
MODES = ['circular', 'linear', 'subpixel']


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pointwise(image):
    """Commutes with every shift, by parts of a pixel too, because it is linear."""
    return torch.einsum('kc, nchw -> nkhw', noise(4, 3, seed=1) - 0.5, image)


def by_column(image):
    """Says where a pixel is, whatever it shows: even columns 0, odd ones 1."""
    odd = torch.arange(image.shape[-1]) % 2
    return torch.stack([1 - odd, odd]).float()[None, :, None].expand(
        len(image), 2, image.shape[-2], image.shape[-1])


def convolved(image):
    return F.conv2d(image, noise(4, 3, 3, 3, seed=2) - 0.5, padding=1)


@pytest.mark.parametrize('size', [(12, 16), (11, 13)], ids=str)
@pytest.mark.parametrize('mode', MODES)
def test_pointwise_model_is_consistent(mode, size):
    shifts = SHIFTS + [(0.5, 0.25), (-1.5, 2.75)] * (mode == 'subpixel')
    assert shift_consistency(pointwise, noise(2, 3, *size), shifts, mode) == 1


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('dx, expected', [(1, 0), (2, 1), (-3, 0)])
def test_model_that_sees_the_grid(mode, dx, expected):
    assert shift_consistency(by_column, noise(1, 3, 6, 8), [(1, dx)], mode) == expected


def test_mean_over_shifts_and_images():
    agreements = shift_agreements(by_column, noise(3, 3, 6, 8), [(0, 1), (0, 2), (1, 1), (2, 0)])
    assert agreements.tolist() == [[0] * 3, [1] * 3, [0] * 3, [1] * 3]
    assert shift_consistency(by_column, noise(3, 3, 6, 8), [(0, 1), (0, 2)]) == 0.5


@pytest.mark.parametrize('shift', [(2, 3), (-1, 4)], ids=str)
def test_by_loops(shift):
    """Every pixel looked up by its place, circular and linear."""
    image = noise(1, 3, 7, 9)
    dy, dx = shift
    rolled = torch.from_numpy(np.roll(image.numpy(), shift, (2, 3)))
    black = torch.zeros_like(image)
    before, around = (convolved(x)[0].argmax(0).tolist() for x in (image, rolled))
    pairs = [(y, x) for y in range(7) for x in range(9)]
    same = [before[y][x] == around[(y + dy) % 7][(x + dx) % 9] for y, x in pairs]
    assert shift_consistency(convolved, image, [shift]) == pytest.approx(np.mean(same))
    inside = [(y, x) for y, x in pairs if 0 <= y + dy < 7 and 0 <= x + dx < 9]
    for y, x in inside:
        black[..., y + dy, x + dx] = image[..., y, x]
    after = convolved(black)[0].argmax(0).tolist()
    same = [before[y][x] == after[y + dy][x + dx] for y, x in inside]
    assert shift_consistency(convolved, image, [shift], 'linear') == pytest.approx(np.mean(same))
    assert 0 < np.mean(same) < 1


def test_binary_head():
    """One logit, whose sign is the label."""
    assert shift_consistency(lambda x: x[:, :1] - 0.5, noise(1, 3, 8, 8), SHIFTS) == 1
    assert shift_consistency(lambda x: by_column(x)[:, :1] - 0.5, noise(1, 3, 8, 8), [(0, 1)]) == 0


def wave(h, w, fy, fx, dy=0.0, dx=0.0):
    y, x = np.arange(h)[:, None] - dy, np.arange(w) - dx
    return torch.from_numpy(np.cos(2 * np.pi * (fy * y / h + fx * x / w + 0.1)))


@pytest.mark.parametrize('h, w', [(8, 12), (9, 7)])
@pytest.mark.parametrize('shift', [(0.5, 0.0), (-0.25, 1.75)], ids=str)
def test_phase_shift_moves_a_wave(h, w, shift):
    moved = shift_image(wave(h, w, 2, 3), shift, 'subpixel')
    torch.testing.assert_close(moved, wave(h, w, 2, 3, *shift), atol=1e-12, rtol=0)


def test_phase_shift_keeps_the_kind():
    image = noise(1, 2, 6, 6)
    assert shift_image(image, (0.5, 0), 'subpixel').dtype == torch.float32
    half = shift_image(image.half(), (0.5, 0), 'subpixel')
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), shift_image(image, (0.5, 0), 'subpixel'), atol=2e-3,
                               rtol=0)


@pytest.mark.parametrize('args, message', [
    (([(0, 1)], 'mirror'), r"mode must be one of \('circular', 'linear', 'subpixel'\), got"),
    (([], 'circular'), 'shifts is empty'),
    (([(0.5, 0)], 'linear'), r"mode 'linear' shifts by whole pixels, got \(0\.5, 0\)"),
    (([(0, 8)], 'linear'), r'\(0, 8\) leaves nothing of an image of \(8, 8\) pixels'),
], ids=['mode', 'no shift', 'part', 'too far'])
def test_bad_input(args, message):
    with pytest.raises(ValueError, match=message):
        shift_consistency(pointwise, noise(1, 3, 8, 8), *args)


def test_logits_of_another_size():
    with pytest.raises(ValueError, match=r'got \(1, 3, 4, 4\) for \(1, 3, 8, 8\)'):
        shift_consistency(lambda x: x[..., ::2, ::2], noise(1, 3, 8, 8), SHIFTS)


# --- upsamplers ----------------------------------------------------------------------------------


def smooth(channels=4, size=16):
    """Waves of low frequency, which half a pixel moves without loss."""
    return sum(noise(channels, 1, 1, seed=10 * fy + fx) * wave(size, size, fy, fx).float()
               for fy in range(3) for fx in range(3))[None]


def zero_padded_spectrum(x):
    """The band-limited interpolation of periodic waves."""
    h, w = x.shape[-2:]
    spectrum = torch.fft.fftshift(torch.fft.fft2(x, norm='forward'), dim=(-2, -1))
    spectrum = F.pad(spectrum, (w // 2, w // 2, h // 2, h // 2))
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1)), norm='forward').real


def nearest(x):
    return F.interpolate(x, scale_factor=2)


def bilinear(x):
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


@pytest.mark.parametrize('upsample', [nearest, bilinear, zero_padded_spectrum])
def test_whole_pixels(upsample):
    """Every interpolation moves with whole pixels, apart from its border."""
    assert equivariance_error(upsample, smooth(), (1, -2), margin=3) < 1e-5


def test_half_a_pixel():
    """Band-limited interpolation passes, replication fails, bilinear interpolation is between."""
    errors = [equivariance_error(upsample, smooth(), (0.5, 0.5), margin=3)
              for upsample in (zero_padded_spectrum, bilinear, nearest)]
    assert errors[0] < 1e-5
    assert errors[0] < errors[1] / 100 < errors[2] / 300


def test_error_by_hand():
    """x2 nearest of a step: half a pixel makes of it what lies between its values."""
    x = wave(1, 8, 0, 1)[None, None]
    # In the output: y[2i] = y[2i + 1] = x[i]. Moved by one pixel of the output, against x moved by
    # half a pixel and then replicated.
    moved = np.repeat(wave(1, 8, 0, 1, 0, 0.5).numpy(), 2)
    expected = np.linalg.norm(moved - np.roll(np.repeat(x.numpy(), 2), 1)) / np.linalg.norm(
        np.repeat(x.numpy(), 2))

    def upsample(x):
        return x.repeat_interleave(2, dim=-1)
    assert equivariance_error(upsample, x, (0, 0.5)) == pytest.approx(expected)
    assert expected > 0.1


@pytest.mark.parametrize('name', ['DySample', 'LCTC', 'PixelShuffle', 'Deconv'])
def test_upsamplers_of_the_package(name):
    from mmups.models import build_upsampler
    torch.manual_seed(0)
    up = build_upsampler(dict(type=name), 16)
    x = smooth(16, 24)
    assert equivariance_error(up, x, (1, 2), margin=8) < 1e-4
    assert equivariance_error(up, x, (0.5, 0.5), margin=8) > 1e-3


def test_example_of_the_docs(capsys):
    page = (Path(__file__).parents[2] / 'docs/stability.md').read_text(encoding='utf-8')
    block, = (block for block in re.findall(r'```python\n(.*?)```', page, re.S)
              if 'equivariance_error' in block)
    exec(block, {})
    for line in capsys.readouterr().out.splitlines():
        assert f'`{line}`' in page


def test_guide_moves_along():
    def upsample(x, guide):
        return nearest(x) * guide
    x, guide = noise(1, 2, 8, 8), noise(1, 2, 16, 16, seed=1)
    assert equivariance_error(upsample, x, (1, 3), guide) < 1e-6


@pytest.mark.parametrize('margin', [-1, 8, 9])
def test_margin_that_leaves_nothing(margin):
    with pytest.raises(ValueError, match=rf'something of \(16, 16\) pixels, got {margin}'):
        equivariance_error(nearest, smooth(), (1, 0), margin=margin)
