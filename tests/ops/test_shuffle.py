"""ops.pixel_shuffle index by index, and for empty batches."""
import itertools

import pytest
import torch

from mmups.ops import pixel_shuffle, pixel_unshuffle


@pytest.mark.parametrize('s', [1, 2, 3])
def test_layout(s):
    x = torch.randn(2, 3 * s * s, 4, 5)
    out = pixel_shuffle(x, s)
    assert out.shape == (2, 3, 4 * s, 5 * s)
    for n, c, i, j, a, b in itertools.product(*map(range, (2, 3, 4, 5, s, s))):
        assert out[n, c, i * s + a, j * s + b] == x[n, (c * s + a) * s + b, i, j]


def test_empty_batch_forward_and_backward():
    x = torch.zeros(0, 12, 4, 5, requires_grad=True)
    out = pixel_shuffle(x, 2)
    assert out.shape == (0, 3, 8, 10)
    out.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize('s', [1, 2, 3])
def test_unshuffle_is_the_way_back(s):
    x = torch.randn(2, 3 * s * s, 4, 5)
    assert torch.equal(pixel_unshuffle(pixel_shuffle(x, s), s), x)


def test_unshuffle_of_an_empty_batch():
    x = torch.zeros(0, 3, 8, 10, requires_grad=True)
    out = pixel_unshuffle(x, 2)
    assert out.shape == (0, 12, 4, 5)
    out.sum().backward()
    assert x.grad.shape == x.shape
