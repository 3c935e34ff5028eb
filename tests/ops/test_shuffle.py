"""ops.pixel_shuffle and its inverse, index by index, and for empty batches."""
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
    assert torch.equal(pixel_unshuffle(out, s), x)


@pytest.mark.parametrize(('f', 'before', 'after'), [
    (pixel_shuffle, (0, 12, 4, 5), (0, 3, 8, 10)), (pixel_unshuffle, (0, 3, 8, 10), (0, 12, 4, 5))])
def test_empty_batch_forward_and_backward(f, before, after):
    x = torch.zeros(before, requires_grad=True)
    out = f(x, 2)
    assert out.shape == after
    out.sum().backward()
    assert x.grad.shape == before
