"""The padded and the cut spectrum against FFTs, cosines and a sum over all pixels."""
import math

import numpy as np
import pytest
import torch

from mmups.ops import crop_spectrum, zero_pad_matrix, zero_pad_spectrum

SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 15]


def by_fft(x, s, shift):
    """Along the last axis of an array: NumPy's FFT, the centred spectrum in s times as many zeros,
    the Nyquist line split in two halves, a shift by ``shift`` fine pixels, and back."""
    n = x.shape[-1]
    spectrum = np.fft.fft(x, norm='forward')
    wide = np.zeros((*x.shape[:-1], 2 * s * n + 1), complex)  # frequencies -s*n to s*n
    for k in range(-((n - 1) // 2), (n - 1) // 2 + 1):
        wide[..., s * n + k] = spectrum[..., k]
    if n % 2 == 0:
        wide[..., s * n + n // 2] += spectrum[..., n // 2] / 2
        wide[..., s * n - n // 2] += spectrum[..., n // 2] / 2
    frequencies = np.arange(-s * n, s * n + 1)
    positions = np.arange(s * n) + shift
    wave = np.exp(2j * np.pi / (s * n) * frequencies[:, None] * positions)
    out = wide @ wave
    assert np.abs(out.imag).max() < 1e-12
    return out.real


@pytest.mark.parametrize('s', [1, 2, 3, 4])
@pytest.mark.parametrize('n', SIZES)
@pytest.mark.parametrize('corner_aligned', [True, False], ids=['corner', 'half-pixel'])
@pytest.mark.parametrize('mirrored', [True, False], ids=['mirrored', 'repeated'])
def test_equals_ffts(n, s, corner_aligned, mirrored):
    x = np.random.default_rng(0).standard_normal((2, n))
    whole = np.concatenate((x, x[:, ::-1]), axis=1) if mirrored else x
    shift = 0 if corner_aligned else (1 - s) / 2
    expected = by_fft(whole, s, shift)[:, :s * n]
    matrix = zero_pad_matrix(n, s, corner_aligned, mirrored, dtype=torch.float64)
    np.testing.assert_allclose(x @ matrix.numpy().T, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('n', [6, 7, 16])
@pytest.mark.parametrize('s', [2, 3])
def test_corner_aligned_core_is_the_plain_transform(n, s):
    """fftshift, pad, ifft, real part, as it is usually written; a row, so that the real part is
    the symmetric split of the Nyquist frequency."""
    x = torch.randn(1, 1, 1, n, dtype=torch.float64)
    spectrum = torch.fft.fftshift(torch.fft.fft(x, norm='forward'))
    before = s * n // 2 - n // 2
    spectrum = torch.nn.functional.pad(spectrum, (before, s * n - n - before))
    expected = torch.fft.ifft(torch.fft.ifftshift(spectrum, dim=-1), norm='forward').real
    out = zero_pad_spectrum(x, s, corner_aligned=True, mirrored=False)
    torch.testing.assert_close(out[:, :, :1], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('mirrored', [True, False], ids=['mirrored', 'repeated'])
@pytest.mark.parametrize('size', [(5, 8), (1, 6), (9, 4)], ids=str)
def test_samples_are_preserved_in_the_corner_aligned_core(size, mirrored):
    x = torch.randn(2, 3, *size)
    for s in (1, 2, 3, 4):
        out = zero_pad_spectrum(x, s, corner_aligned=True, mirrored=mirrored)
        torch.testing.assert_close(out[..., ::s, ::s], x, rtol=0, atol=1e-5)


@pytest.mark.parametrize('s', [2, 3, 4])
@pytest.mark.parametrize('n', [9, 16])
def test_cosines_of_every_frequency_at_half_pixel_centres(n, s):
    """cos(pi * k * position / n), below Nyquist's limit, to 1e-6, without a shift, on both axes."""
    coarse = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    fine = (torch.arange(s * n, dtype=torch.float64) + 0.5) / (s * n)
    for k in range(n):
        for other in (0, 1, n // 2, n - 1):
            x = torch.cos(math.pi * k * coarse)[:, None] * torch.cos(math.pi * other * coarse)
            expected = torch.cos(math.pi * k * fine)[:, None] * torch.cos(math.pi * other * fine)
            out = zero_pad_spectrum(x[None, None].float(), s)[0, 0].double()
            torch.testing.assert_close(out, expected, rtol=0, atol=2e-6)
            exact = zero_pad_spectrum(x[None, None], s)[0, 0]
            torch.testing.assert_close(exact, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('n', [9, 16])
@pytest.mark.parametrize('corner_aligned', [True, False], ids=['corner', 'half-pixel'])
def test_waves_of_any_phase_in_the_repeated_core(n, corner_aligned):
    shift = 0 if corner_aligned else -0.25
    for k in range((n + 1) // 2):
        for phase in (0, 1, 2.5):
            x, expected = (torch.cos(2 * math.pi * k / n * position + phase) for position in (
                torch.arange(n, dtype=torch.float64),
                torch.arange(2 * n, dtype=torch.float64) / 2 + shift))
            out = x @ zero_pad_matrix(n, 2, corner_aligned, False, dtype=torch.float64).T
            torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_nyquist_frequency_is_split():
    """1, -1, 1, -1: half a wave at +N/2 and half at -N/2 make a cosine of full height."""
    x = torch.tensor([1., -1] * 3, dtype=torch.float64)
    out = x @ zero_pad_matrix(6, 2, corner_aligned=True, mirrored=False, dtype=torch.float64).T
    expected = torch.cos(math.pi / 2 * torch.arange(12, dtype=torch.float64))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('n', [8, 33])
def test_no_energy_outside_the_old_spectrum(n):
    x = torch.randn(1, 2, n, n, dtype=torch.float64)
    out = zero_pad_spectrum(x, mirrored=False)
    power = torch.fft.fft2(out).abs().square()
    frequency = torch.fft.fftfreq(2 * n).abs()
    outside = (frequency[:, None] > 0.25 + 1e-6) | (frequency > 0.25 + 1e-6)
    assert power[..., outside].sum() < 1e-20 * power.sum()


@pytest.mark.parametrize('s', [2, 3])
def test_no_shift(s):
    """The centre of mass of a smooth bump stays where it was, and a flipped map comes out
    flipped."""
    rows = torch.arange(24, dtype=torch.float64)
    bump = torch.exp(-((rows[:, None] - 10.3)**2 + (rows - 12.1)**2) / 18)
    out = zero_pad_spectrum(bump[None, None], s)[0, 0]
    fine = (torch.arange(24 * s, dtype=torch.float64) + 0.5) / s - 0.5
    for axis in (0, 1):
        weight = out.sum(1 - axis)
        before = (bump.sum(1 - axis) * rows).sum() / bump.sum()
        assert ((weight * fine).sum() / weight.sum()).item() == pytest.approx(before.item(),
                                                                              abs=1e-3)
    x = torch.randn(1, 2, 7, 6, dtype=torch.float64)
    for axis in (-1, -2):
        torch.testing.assert_close(zero_pad_spectrum(x.flip(axis), s),
                                   zero_pad_spectrum(x, s).flip(axis), rtol=0, atol=1e-12)


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('n', [1, 2, 200, 1024])
def test_float32_is_precise_on_large_maps(n, s):
    low = zero_pad_matrix(n, s)
    exact = zero_pad_matrix(n, s, dtype=torch.float64)
    torch.testing.assert_close(low.double(), exact, rtol=0, atol=1e-6)
    torch.testing.assert_close(exact.sum(1), torch.ones(s * n, dtype=torch.float64))


def test_float16_is_computed_in_float32():
    x = torch.randn(1, 2, 5, 6).half()
    for enabled in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            out = zero_pad_spectrum(x)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, zero_pad_spectrum(x.float()))


# --- cutting -------------------------------------------------------------------------------------


@pytest.mark.parametrize('s', [2, 3])
@pytest.mark.parametrize('size', [(3, 5), (7, 1), (1, 4), (1, 8)], ids=str)
def test_crop_equals_ffts(size, s):
    """FrequencyLowCut pooling as it is usually written: fftshift, the centre, ifft, real part. Rows
    also of even length, where the limit of the coarse grid is one of the frequencies."""
    h, w = size
    x = np.random.default_rng(0).standard_normal((2, 3, s * h, s * w))
    if h == 1:  # constant along the other axis, as the real part mixes the limits of both
        x[:] = x[:, :, :1]
    spectrum = np.fft.fftshift(np.fft.fft2(x, norm='forward'), axes=(-2, -1))
    top, left = (s * n // 2 - n // 2 for n in size)
    centre = np.fft.ifftshift(spectrum[..., top:top + h, left:left + w], axes=(-2, -1))
    expected = np.fft.ifft2(centre, norm='forward').real
    out = crop_spectrum(torch.from_numpy(x), s)
    np.testing.assert_allclose(out.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('n', [9, 16])
def test_crop_keeps_low_waves_and_drops_high_ones(n):
    """cos(2 pi k position / n) of any phase: below the limit of the coarse grid it is sampled
    there, without a shift; above it nothing is left, where plain striding makes an alias."""
    fine = torch.arange(2 * n, dtype=torch.float64) / 2
    for k in range(n + 1):
        if 2 * k == n:  # at the limit
            continue
        x = torch.cos(2 * math.pi * k / n * fine + 0.7)
        if k == n:
            x = torch.cos(2 * math.pi * fine)  # 1, -1, 1, -1: the limit of the fine grid
        out = crop_spectrum(x.expand(1, 1, 2 * n, -1))[0, 0]
        expected = x[::2] if 2 * k < n else torch.zeros(n, dtype=torch.float64)
        torch.testing.assert_close(out, expected.expand(n, -1), rtol=0, atol=1e-12)
        single = crop_spectrum(x.float().expand(1, 1, 2 * n, -1))[0, 0].double()
        torch.testing.assert_close(single, expected.expand(n, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize('s', [2, 3])
def test_crop_takes_back_what_padding_does(s):
    x = torch.randn(2, 3, 7, 5, dtype=torch.float64)
    fine = zero_pad_spectrum(x, s, corner_aligned=True, mirrored=False)
    torch.testing.assert_close(crop_spectrum(fine, s), x, rtol=0, atol=1e-12)


def test_crop_precision_and_errors():
    assert crop_spectrum(torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)).dtype == torch.float32
    assert crop_spectrum(torch.ones(0, 3, 4, 6)).shape == (0, 3, 2, 3)
    with pytest.raises(ValueError, match=r'\(4, 5\) has no grid that is 2 times coarser'):
        crop_spectrum(torch.ones(1, 1, 4, 5))
