"""Local and deformable attention against loops over output pixels."""
import ops_oracles
import pytest
import torch

from mmups.ops import (
    aligned_points,
    clamped_attention,
    deform_attend,
    deform_query_key,
    neighbour_similarity,
    query_key,
)


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


@pytest.mark.parametrize('dilation', [1, 2])
def test_neighbour_similarity_equals_naive_loop(dilation):
    """By PyTorch's cosine of two vectors; zeros for a pixel of zeros and outside of the map."""
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    x[0, :, 1, 2] = 0
    x.requires_grad_()
    shifts = [(a * dilation, b * dilation) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    rows = []
    for i in range(4):
        for j in range(5):
            for a, b in shifts:
                inside = 0 <= i + a < 4 and 0 <= j + b < 5
                there = x[:, :, i + a, j + b] if inside else torch.zeros_like(x[:, :, 0, 0])
                rows.append(torch.cosine_similarity(x[:, :, i, j], there, dim=1, eps=1e-8))
    expected = torch.stack(rows, dim=1).reshape(2, 4, 5, 8).permute(0, 3, 1, 2)
    out = neighbour_similarity(x, dilation)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(out)
    grad, = torch.autograd.grad(out, x, upstream)
    assert grad.isfinite().all()
    want, = torch.autograd.grad(expected, x, upstream)
    zero = (x == 0).all(1, keepdim=True)  # where the two have no derivative, and differ
    torch.testing.assert_close(grad.masked_fill(zero, 0), want.masked_fill(zero, 0))


def test_neighbour_similarity_of_half_precision():
    """Tiny and large vectors, of which the squares are out of half precision's range."""
    x = torch.randn(1, 16, 4, 4).double()
    scaled = (x * 10.0**torch.arange(-4, 4).repeat(2).reshape(4, 4)).half()
    out = neighbour_similarity(scaled)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), neighbour_similarity(scaled.double()), rtol=0,
                               atol=1e-5)


@pytest.mark.parametrize('size', [(5, 4), (2, 7), (1, 3), (6, 6)], ids=str)
@pytest.mark.parametrize('groups, s', [(1, 2), (2, 1), (2, 3)])
def test_clamped_attention_equals_naive_loop(size, groups, s):
    """On maps larger and smaller than the window."""
    kernel_size, (h, w) = 5, size
    double = dict(dtype=torch.float64, requires_grad=True)
    query = torch.randn(2, 3 * groups, s * h, s * w, **double)
    key, value = torch.randn(2, 3 * groups, h, w, **double), torch.randn(2, 4, h, w, **double)
    k = next(k for k in (5, 3, 1) if k <= min(size))
    rows = []
    for i in range(s * h):
        for j in range(s * w):
            top = min(max(i // s - k // 2, 0), h - k)
            left = min(max(j // s - k // 2, 0), w - k)
            heads = []
            for q, keys, values in zip(query.chunk(groups, 1), key.chunk(groups, 1),
                                       value.chunk(groups, 1)):
                keys, values = (x[..., top:top + k, left:left + k].flatten(2)
                                for x in (keys, values))
                weights = (torch.einsum('nd,ndk->nk', q[..., i, j], keys) / 3**0.5).softmax(1)
                heads.append(torch.einsum('nk,nck->nc', weights, values))
            rows.append(torch.cat(heads, dim=1))
    expected = torch.stack(rows, dim=2).reshape(2, 4, s * h, s * w)
    check(clamped_attention(query, key, value, kernel_size, groups, s), expected,
          (query, key, value))
