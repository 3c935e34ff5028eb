"""Spectra and kernels against numbers that are known: spec sheets of filters, hand-made grids."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmups.analysis import (
    MeanPower,
    dc_checkerboard_index,
    folded,
    grid_peak_ratio,
    impulse_response,
    offsets,
    out_of_band_ratio,
    power_spectrum,
    radial_profile,
    stop_band_share,
)
from mmups.models import LCTC, Deconv, DySample, FFTUpsample, Interpolate
from mmups.ops import zero_pad_spectrum


def hann_sinc(k):
    """An ideal half-band kernel under a Hann window of k taps that are not zero."""
    taps = np.arange(k) - (k - 1) / 2
    return np.sinc(taps / 2) * np.hanning(k + 2)[1:-1]


@pytest.mark.parametrize(('kernel', 'share'), [
    ([1, 1], 0.181), ([0.5, 1, 0.5], 0.075), ([0.25, 0.75, 0.75, 0.25], 0.033),
    (hann_sinc(7), 0.057), (hann_sinc(11), 0.035), (hann_sinc(15), 0.025), (hann_sinc(31), 0.012),
], ids=['nearest', 'odd-linear', 'bilinear', 'hann-sinc-7', 'hann-sinc-11', 'hann-sinc-15',
        'hann-sinc-31'])
def test_stop_band_share_of_known_kernels(kernel, share):
    """For x2, to the three digits that are known; and by a fine grid of frequencies."""
    kernel = torch.tensor(np.asarray(kernel, dtype=float))
    value = stop_band_share(kernel).item()
    assert value == pytest.approx(share, abs=0.001)
    power = np.abs(np.fft.fft(kernel.numpy(), 2**16))**2
    outside = np.abs(np.fft.fftfreq(2**16)) > 0.25
    assert value == pytest.approx(power[outside].sum() / power.sum(), abs=1e-4)
    square = stop_band_share(torch.outer(kernel, kernel)).item()
    assert square == pytest.approx(1 - (1 - value)**2, abs=1e-12)


def test_random_kernels_pass_everything():
    """Whatever their size: half of the energy in one dimension, three quarters in two."""
    for k in (2, 7, 31):
        kernels = torch.randn(400, k, k, dtype=torch.float64)
        assert stop_band_share(kernels[:, 0], dims=1).mean().item() == pytest.approx(0.5, abs=0.05)
        assert stop_band_share(kernels).mean().item() == pytest.approx(0.75, abs=0.03)
        assert stop_band_share(kernels, 3).mean().item() == pytest.approx(8 / 9, abs=0.03)


@pytest.mark.parametrize(('mode', 'share'), [('nearest', 0.1817), ('bilinear', 0.0331)])
def test_impulse_response_of_interpolation(mode, share):
    kernels = impulse_response(Interpolate(2, mode=mode), 2)
    assert kernels.shape == (2, 66, 66)
    assert kernels.sum((1, 2)).tolist() == pytest.approx([4, 4])
    assert stop_band_share(kernels).tolist() == pytest.approx([1 - (1 - share)**2] * 2, abs=1e-3)


def test_impulse_response_of_lctc_is_its_kernel():
    up = LCTC(3, kernel_size=5, small_kernel_size=3)
    kernel = up.kernels(torch.zeros(1, 3, 1, 1))
    assert kernel.shape == (3, 5, 5)
    expected = up.large.weight[:, 0].clone()
    expected[:, 1:4, 1:4] += up.small.weight[:, 0]
    torch.testing.assert_close(kernel, expected)
    response = impulse_response(up, 3)
    torch.testing.assert_close(response[:, 30:35, 30:35], kernel.detach(), rtol=0, atol=1e-6)
    assert response.abs().sum().item() == pytest.approx(kernel.abs().sum().item(), rel=1e-5)


def test_power_spectrum():
    """A wave has two frequencies; the mean is Parseval's."""
    row = torch.cos(2 * math.pi * 3 / 16 * torch.arange(16.))
    maps = row.expand(2, 3, 12, 16) + 5
    power = power_spectrum(maps)
    assert power.nonzero().shape[0] >= 2
    assert {tuple(i) for i in (power > 1e-6).nonzero().tolist()} == {(6, 8 - 3), (6, 8 + 3)}
    x = torch.randn(4, 5, 9, 8)
    assert power_spectrum(x).mean().item() == pytest.approx(
        x.var((-2, -1), correction=0).mean().item(), rel=1e-5)


def test_a_window_takes_away_the_cross():
    """A slope is no high frequency, only its border is."""
    slope = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    plain, faded = power_spectrum(slope), power_spectrum(slope, window=True)
    assert out_of_band_ratio(plain) > 0.005
    assert out_of_band_ratio(faded) < 1e-6


@pytest.mark.parametrize('size', [(8, 8), (8, 6), (7, 9), (64, 16)], ids=str)
def test_radial_profile(size):
    """Rings counted one by one."""
    power = torch.rand(size, dtype=torch.float64)
    n, rings = min(size), {}
    for i in range(size[0]):
        for j in range(size[1]):
            radius = math.hypot((i - size[0] // 2) / size[0], (j - size[1] // 2) / size[1]) * n
            rings.setdefault(int(radius + 1e-9), []).append(power[i, j].item())
    profile = radial_profile(power)
    assert profile.tolist() == pytest.approx([np.mean(rings[r]) for r in range(n // 2 + 1)])


def test_out_of_band():
    """Nothing above the old frequencies of a zero-padded spectrum, 3/4 of noise, and 1 of a wave
    above them."""
    x = torch.randn(2, 4, 64, 64)
    assert out_of_band_ratio(power_spectrum(zero_pad_spectrum(x, mirrored=False))) < 1e-9
    for mode, share in (('nearest', 0.1817), ('bilinear', 0.0331)):  # of noise, the kernel's share
        power = power_spectrum(F.interpolate(x, scale_factor=2, mode=mode))
        assert out_of_band_ratio(power) == pytest.approx(1 - (1 - share)**2, abs=0.02)
    noise = power_spectrum(torch.randn(4, 8, 64, 64))
    assert out_of_band_ratio(noise) == pytest.approx(0.75, abs=0.02)
    assert out_of_band_ratio(noise, 4) == pytest.approx(15 / 16, abs=0.02)
    stripes = torch.tensor([1., -1.]).repeat(8).expand(1, 1, 16, 16)
    assert out_of_band_ratio(power_spectrum(stripes)) == pytest.approx(1)


@pytest.mark.parametrize('s', [2, 4])
def test_grid_peak(s):
    """1 for noise; a faint grid of period s over it stands out, one of another period does not."""
    noise = torch.randn(16, 16, 64, 64)
    assert grid_peak_ratio(power_spectrum(noise), s) == pytest.approx(1, abs=0.1)
    grid = torch.zeros(64, 64)
    grid[::s, ::s] = 1
    expected = 1 + (0.1 / s**2)**2 * 64**2 / 9  # on a ninth of the 3x3 frequencies, each
    assert grid_peak_ratio(power_spectrum(noise + 0.1 * grid), s) == pytest.approx(
        expected, rel=0.15)
    other = torch.cos(2 * math.pi * 13 / 64 * torch.arange(64.))
    assert grid_peak_ratio(power_spectrum(noise + other), s) == pytest.approx(1, abs=0.15)


def test_grid_peak_needs_room():
    with pytest.raises(ValueError, match=r'needs 16 frequencies.*scale_factor=4, got \(8, 32\)'):
        grid_peak_ratio(torch.ones(8, 32), 4)


@pytest.mark.parametrize('up', [Interpolate(3), Interpolate(3, mode='nearest'), DySample(4),
                                FFTUpsample(3)],
                         ids=['bilinear', 'nearest', 'DySample', 'FFTUpsample'])
def test_interpolation_has_no_checkerboard(up):
    assert dc_checkerboard_index(up, up.in_channels) < 1e-5


def test_checkerboard_of_a_transposed_convolution():
    """Taps of ones: phases of 4, 2, 2 and 1 taps in k = 3, by hand; none with k = 4."""
    up = Deconv(1, kernel_size=3)
    torch.nn.init.ones_(up.weight)
    torch.nn.init.zeros_(up.bias)
    sums = np.array([4., 2., 2., 1.])
    assert dc_checkerboard_index(up, 1) == pytest.approx(sums.std() / sums.mean())
    even = Deconv(1, kernel_size=4)
    torch.nn.init.ones_(even.weight)
    assert dc_checkerboard_index(even, 1) < 1e-6


def test_mean_power_over_batches():
    x = torch.randn(5, 3, 8, 8)
    whole, parts = MeanPower(), MeanPower()
    whole.add(x)
    for part in (x[:2], x[2:2], x[2:], torch.randn(1, 3, 9, 8)):
        parts.add(part)
    assert (parts.count, parts.skipped) == (15, 3)
    torch.testing.assert_close(parts.power, whole.power)


@pytest.mark.parametrize('s', [2, 3])
def test_points_and_offsets(s):
    """Without offsets DySample samples where bilinear interpolation does; the grid is whole."""
    up = DySample(8, s, groups=2)
    torch.nn.init.zeros_(up.offset.weight)
    x = torch.randn(2, 8, 4, 5)
    points = up.points(x)
    assert points.shape == (2, 2, 2, 4 * s, 5 * s)
    torch.testing.assert_close(points[0, 0, 0, 0], (torch.arange(5 * s) + 0.5) / s - 0.5)
    torch.testing.assert_close(points[1, 1, 1, :, 0], (torch.arange(4 * s) + 0.5) / s - 0.5)
    assert offsets(points, s).abs().max() < 1e-6
    assert not folded(points).any()
    up.offset.bias.data[0] = 4 * 0.3  # x of the first group at row 0, column 0 of each cell
    moved = offsets(up.points(x), s)
    assert moved[:, 0, 0, ::s, ::s].allclose(torch.tensor(0.3))
    assert moved[:, 1].abs().max() < 1e-6


def test_folds_are_found_where_points_have_changed_places():
    grid = torch.stack(torch.meshgrid(torch.arange(6.), torch.arange(5.), indexing='ij')).flip(0)
    points = grid.repeat(1, 1, 1, 1, 1)
    points[0, 0, 0, 2, 2] += 1.5  # passes its right neighbour
    assert folded(points)[0, 0].nonzero().tolist() == [[2, 2]]
