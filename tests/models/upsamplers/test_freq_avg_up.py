"""FreqAvgUp against FFTs, and what it promises of low frequencies."""
import math

import numpy as np
import pytest
import torch

from mmups.models import FreqAvgUp


def by_ffts(up, x):
    """The paper's steps with NumPy's transforms; sides are odd, so that none is at the limit."""
    s, (n, _, h, w) = up.scale_factor, x.shape
    phases = up.body(x).detach().numpy().reshape(n, up.out_channels, s * s, h, w)
    spectrum = np.fft.fft2(phases, norm='forward')
    mean = spectrum.mean(2, keepdims=True)
    centred = np.fft.fftshift(mean[:, :, 0], axes=(-2, -1))
    pads = [(s * side // 2 - side // 2, s * side - side - (s * side // 2 - side // 2))
            for side in (h, w)]
    wide = np.fft.ifftshift(np.pad(centred, [(0, 0), (0, 0), *pads]), axes=(-2, -1))
    low = np.fft.ifft2(wide, norm='forward')
    high = np.fft.ifft2(spectrum - mean, norm='forward')
    assert max(np.abs(low.imag).max(), np.abs(high.imag).max()) < 1e-12
    out, beta = np.empty((n, up.out_channels, s * h, s * w)), up.beta.item()
    for a in range(s):
        for b in range(s):
            out[..., a::s, b::s] = ((1 - beta) * low.real[..., a::s, b::s]
                                    + beta * high.real[:, :, a * s + b])
    return out


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('out_channels', [None, 3])
def test_equals_ffts(s, out_channels, randomise):
    up = randomise(FreqAvgUp(6, s, out_channels=out_channels)).double()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    np.testing.assert_allclose(up(x).detach().numpy(), by_ffts(up, x), rtol=0, atol=1e-12)


@pytest.fixture
def low_path():
    """All phases are the map itself, and nothing goes by phases."""
    up = FreqAvgUp(1)
    torch.nn.init.zeros_(up.beta)
    torch.nn.init.zeros_(up.body.weight)
    up.body.weight.data[:, 0, 1, 1] = 1
    return up


@pytest.mark.parametrize('phase', [0, 1.2])
@pytest.mark.parametrize(('rows', 'columns'), [(0, 1), (3, 2), (7, 5)])
def test_cosines_below_the_limit(low_path, rows, columns, phase):
    """To 1e-6, at the positions of the coarse map: nothing is shifted."""
    def wave(s):
        y, x = (torch.arange(16 * s, dtype=torch.float64) / s for _ in range(2))
        return torch.cos(math.pi / 8 * (rows * y[:, None] + columns * x) + phase)[None, None]

    torch.testing.assert_close(low_path(wave(1).float()).double(), wave(2), rtol=0, atol=1e-6)


def test_low_path_keeps_samples_at_even_positions(low_path):
    x = torch.randn(2, 1, 6, 9)
    torch.testing.assert_close(low_path(x)[..., ::2, ::2], x, rtol=0, atol=1e-6)


def test_high_path_is_what_phases_have_beyond_their_mean(low_path):
    """One phase alone: three quarters of it there, a quarter less elsewhere, and nothing more."""
    torch.nn.init.ones_(low_path.beta)
    low_path.body.weight.data[1:] = 0
    out = low_path(torch.ones(1, 1, 4, 4))
    expected = torch.tensor([[.75, -.25], [-.25, -.25]]).repeat(4, 4)
    torch.testing.assert_close(out[0, 0], expected, rtol=0, atol=1e-6)


def test_parameters():
    """The convolution has the shape of Restormer's own, 384 to 192 channels, and no bias."""
    up = FreqAvgUp(384, out_channels=192)
    assert {key: tuple(value.shape) for key, value in up.state_dict().items()} == {
        'beta': (1, ), 'body.weight': (768, 384, 3, 3)}
    assert up.beta.item() == pytest.approx(0.3)
