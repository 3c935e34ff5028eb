"""FFTUpsample: the operator (tests/ops/test_frequency.py) behind the contract."""
import numpy as np
import pytest
import torch

from mmups.models import FFTUpsample

scipy_fft = pytest.importorskip('scipy.fft')


@pytest.mark.parametrize('s', [1, 2, 3])
@pytest.mark.parametrize('size', [(5, 8), (1, 1), (6, 1)], ids=str)
def test_equals_a_cosine_transform(s, size):
    """The spectrum of a mirrored map is its cosine transform: SciPy's, evaluated at fine pixels."""
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = x.numpy()
    for axis in (-2, -1):
        n = expected.shape[axis]
        coefficients = np.moveaxis(scipy_fft.dct(expected, axis=axis), axis, -1) / n
        coefficients[..., 0] /= 2
        angles = np.pi / n * (np.arange(s * n) + 0.5) / s
        values = coefficients @ np.cos(np.arange(n)[:, None] * angles)
        expected = np.moveaxis(values, -1, axis)
    np.testing.assert_allclose(FFTUpsample(3, s)(x).numpy(), expected, rtol=0, atol=1e-12)


def test_has_nothing_to_learn_and_keeps_constants():
    up = FFTUpsample(16)
    assert not list(up.parameters()) and not up.state_dict()
    torch.testing.assert_close(up(torch.full((1, 16, 5, 7), 3.)), torch.full((1, 16, 10, 14), 3.))


def test_overshoot_beside_a_step():
    """Gibbs: about 14 % of a sampled step on either side, as the docstring says."""
    x = torch.zeros(1, 1, 64, 64)
    x[..., 32:] = 1
    out = FFTUpsample(1, 8)(x)
    assert out.max().item() == pytest.approx(1.14, abs=0.01)
    assert out.min().item() == pytest.approx(-0.14, abs=0.01)
