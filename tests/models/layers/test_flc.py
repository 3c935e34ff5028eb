"""FLC downsampling against FFTs, and its builder."""
import math

import numpy as np
import pytest
import torch

from mmups.models.layers import FLC, build_downsampler


def by_ffts(layer, x):
    """The paper's steps with NumPy; halves of the sides are odd, so that none is at the limit."""
    y = layer.body(x).detach().numpy()
    n, c, height, width = y.shape
    h, w = height // 2, width // 2
    spectrum = np.fft.fftshift(np.fft.fft2(y, norm='forward'), axes=(-2, -1))
    centre = slice(height // 2 - h // 2, height // 2 - h // 2 + h), slice(
        width // 2 - w // 2, width // 2 - w // 2 + w)
    cut = spectrum[..., centre[0], centre[1]]
    low = np.fft.ifft2(np.fft.ifftshift(cut, axes=(-2, -1)), norm='forward').real
    kept = np.zeros_like(spectrum)
    kept[..., centre[0], centre[1]] = cut
    smooth = np.fft.ifft2(np.fft.ifftshift(kept, axes=(-2, -1)), norm='forward').real
    high = np.stack([(y - smooth)[..., a::2, b::2] for a in range(2) for b in range(2)], axis=2)
    alpha = layer.alpha.item()
    return ((1 - alpha) * np.concatenate([low] * 4, axis=1)
            + alpha * high.reshape(n, 4 * c, h, w))


def test_equals_ffts():
    torch.manual_seed(0)
    layer = FLC(4).double()
    torch.nn.init.constant_(layer.alpha, 0.4)
    x = torch.randn(2, 4, 10, 14, dtype=torch.float64)
    np.testing.assert_allclose(layer(x).detach().numpy(), by_ffts(layer, x), rtol=0, atol=1e-12)


def test_only_low_frequencies_without_the_high_path():
    """A wave beyond the coarse grid, which striding would turn into another one, is gone."""
    layer = FLC(2)
    torch.nn.init.zeros_(layer.alpha)
    torch.nn.init.zeros_(layer.body[0].weight)
    layer.body[0].weight.data[0, 0, 1, 1] = 1
    columns = torch.arange(32, dtype=torch.float32)
    for k in range(16):
        x = torch.cos(math.pi / 16 * k * columns + 0.7).expand(1, 2, 32, 32)
        if k == 8:
            continue
        expected = x[0, 0, ::2, ::2] if k < 8 else torch.zeros(16, 16)
        torch.testing.assert_close(layer(x), expected.expand(1, 4, -1, -1), rtol=0, atol=2e-6)


def test_arguments_and_precision():
    layer = build_downsampler(dict(type='FLC'), 8)
    assert {key: tuple(value.shape) for key, value in layer.state_dict().items()} == {
        'alpha': (1, ), 'body.0.weight': (4, 8, 3, 3)}
    assert layer.alpha.item() == pytest.approx(0.3)
    x = torch.randn(2, 8, 4, 6)
    expected = layer(x)
    expected.sum().backward()
    assert expected.shape == (2, 16, 2, 3) and layer.alpha.grad.any()
    out = layer.bfloat16()(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, rtol=0.1, atol=0.05)


@pytest.mark.parametrize(('cfg', 'message'), [
    ('FLC', "configured by dict.type='FLC'., got 'FLC'"), ({}, r'got \{\}'),
    (dict(type='DySample'), 'makes 16 channels of 8, and .*DySample.* makes None'),
    (dict(type='LCTC'), 'makes 16 channels of 8, and .*LCTC.* makes 8')], ids=str)
def test_mistakes(cfg, message):
    with pytest.raises(ValueError, match=message):
        build_downsampler(cfg, 8)


def test_odd():
    with pytest.raises(ValueError, match='halves the channels first, got in_channels=3'):
        FLC(3)
    with pytest.raises(ValueError, match=r'\(4, 5\) has no grid'):
        FLC(2)(torch.rand(1, 2, 4, 5))
