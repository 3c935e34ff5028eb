"""Local and deformable attention against loops over output pixels."""
import ops_oracles
import pytest
import torch

from mmups.ops import aligned_points, deform_attend, deform_query_key, query_key


@pytest.mark.parametrize('kernel_size, scale', [(3, 2), (5, 2), (3, 3), (1, 2)])
def test_query_key_equals_naive_loop(kernel_size, scale):
    key = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    query = torch.randn(2, 3, 2 * scale, 3 * scale, dtype=torch.float64, requires_grad=True)
    check(query_key(query, key, kernel_size, scale),
          ops_oracles.query_key(query, key, kernel_size, scale), (query, key))


def check(out, expected, inputs):
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-11)
    upstream = torch.randn_like(out)
    for got, want in zip(torch.autograd.grad(out, inputs, upstream),
                         torch.autograd.grad(expected, inputs, upstream)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


@pytest.mark.parametrize('groups, points, scale', [(1, 2, 2), (2, 3, 2), (2, 1, 3)])
def test_deformable_equals_naive_loop(groups, points, scale):
    n, d, h, w = 1, 2, 2, 3
    double = dict(dtype=torch.float64, requires_grad=True)
    key = torch.randn(n, groups * d, h, w, **double)
    value = torch.randn(n, groups * 2, h, w, **double)
    query = torch.randn(n, groups * d, h * scale, w * scale, **double)
    # Some points fall outside the map.
    offset = torch.randn(n, groups * points * 2, h * scale, w * scale, **double)
    attention = torch.rand(n, groups, points, h * scale, w * scale, **double)

    check(deform_query_key(query, key, offset, groups, scale),
          ops_oracles.deform_query_key(query, key, offset, groups, scale), (query, key, offset))
    check(deform_attend(attention, value, offset, scale),
          ops_oracles.deform_attend(attention, value, offset, scale),
          (attention, value, offset))


def test_deformable_gradient_of_offsets():
    """By finite differences, which know nothing of a loop."""
    double = dict(dtype=torch.float64, requires_grad=True)
    key, query = torch.randn(1, 4, 3, 3, **double), torch.randn(1, 4, 6, 6, **double)
    offset = torch.randn(1, 8, 6, 6, **double)
    attention = torch.rand(1, 2, 2, 6, 6, **double)
    assert torch.autograd.gradcheck(lambda o: deform_query_key(query, key, o, 2), offset)
    assert torch.autograd.gradcheck(lambda o: deform_attend(attention, key, o), offset)


@pytest.mark.parametrize('kernel_size, scale, h, w', [(3, 2, 2, 3), (1, 3, 2, 2), (3, 1, 1, 3),
                                                      (5, 2, 1, 2)])
def test_aligned_points_equal_a_loop(kernel_size, scale, h, w):
    """Corner pixels coincide; y before x comes in, x before y goes out, from the coarse pixel."""
    k, fine_h, fine_w, groups = kernel_size, scale * h, scale * w, 2
    shift = torch.randn(2, groups * k * k * 2, fine_h, fine_w, dtype=torch.float64)
    got = aligned_points(shift, k, scale)
    row_ratio, column_ratio = ((n - 1) / (scale * n - 1) if scale > 1 else 1 for n in (h, w))
    for g in range(groups):
        for tap in range(k * k):
            channel = (g * k * k + tap) * 2
            for i in range(fine_h):
                for j in range(fine_w):
                    y, x = shift[:, channel:channel + 2, i, j].unbind(dim=1)
                    y = (i + tap // k - k // 2 + y) * row_ratio - i // scale
                    x = (j + tap % k - k // 2 + x) * column_ratio - j // scale
                    torch.testing.assert_close(got[:, channel:channel + 2, i, j],
                                               torch.stack((x, y), dim=1), rtol=0, atol=1e-12)
