"""Depthwise transposed convolution against a loop over input pixels and taps."""
import pytest
import torch

from mmups.ops import depthwise_transposed


def naive(x, weight, bias, scale):
    """Each input pixel sets its kernel down around fine pixel s*i; what falls outside is lost."""
    n, c, h, w = x.shape
    radius = weight.shape[-1] // 2
    out = [bias[channel].expand(h * scale, w * scale).clone() for _ in range(n)
           for channel in range(c)]
    for index, plane in enumerate(x.reshape(n * c, h, w)):
        for i in range(h):
            for j in range(w):
                for ky in range(weight.shape[-1]):
                    for kx in range(weight.shape[-1]):
                        row, column = scale * i + ky - radius, scale * j + kx - radius
                        if 0 <= row < h * scale and 0 <= column < w * scale:
                            out[index][row, column] += plane[i, j] * weight[index % c, 0, ky, kx]
    return torch.stack(out).reshape(n, c, h * scale, w * scale)


@pytest.mark.parametrize('kernel_size, scale', [(3, 2), (7, 2), (5, 1), (3, 3), (5, 3), (5, 4),
                                                (1, 2)])
def test_equals_naive_loop(kernel_size, scale):
    double = dict(dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 3, 2, 3, **double)
    weight, bias = torch.randn(3, 1, kernel_size, kernel_size, **double), torch.randn(3, **double)
    out = depthwise_transposed(x, weight, bias, scale)
    expected = naive(x, weight, bias, scale)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(out)
    for got, want in zip(torch.autograd.grad(out, (x, weight, bias), upstream),
                         torch.autograd.grad(expected, (x, weight, bias), upstream)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
