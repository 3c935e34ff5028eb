"""Local and deformable attention against loops over output pixels."""
import math

import pytest
import torch

from mmups.ops import deform_attend, deform_query_key, pixel_shuffle, query_key


def naive_query_key(query, key, kernel_size, scale):
    n, d, h, w = key.shape
    radius = kernel_size // 2
    values = []
    for b in range(n):
        for tap in range(kernel_size**2):
            dy, dx = divmod(tap, kernel_size)
            for row in range(h * scale):
                for column in range(w * scale):
                    i, j = row // scale + dy - radius, column // scale + dx - radius
                    inside = 0 <= i < h and 0 <= j < w
                    values.append((query[b, :, row, column] * key[b, :, i, j]).sum() if inside
                                  else query.new_zeros(()))
    return torch.stack(values).reshape(n, kernel_size**2, h * scale, w * scale)


@pytest.mark.parametrize('kernel_size, scale', [(3, 2), (5, 2), (3, 3), (1, 2)])
def test_query_key_equals_naive_loop(kernel_size, scale):
    key = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    query = torch.randn(2, 3, 2 * scale, 3 * scale, dtype=torch.float64, requires_grad=True)
    check(pixel_shuffle(query_key(query, key, kernel_size, scale), scale),
          naive_query_key(query, key, kernel_size, scale), (query, key))


def check(out, expected, inputs):
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-11)
    upstream = torch.randn_like(out)
    for got, want in zip(torch.autograd.grad(out, inputs, upstream),
                         torch.autograd.grad(expected, inputs, upstream)):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


def bilinear(x, row, column):
    """Value of x (C, h, w) at a point in pixel indices; corners outside count as zero."""
    _, h, w = x.shape
    top, left = math.floor(row.item()), math.floor(column.item())
    value = x.new_zeros(x.shape[0])
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < h and 0 <= j < w:
                value = value + x[:, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return value


def points_of(offset, b, g, p, points, row, column, scale):
    x, y = (offset[b, (g * points + p) * 2 + k, row, column] for k in (0, 1))
    return row // scale + y, column // scale + x


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

    logits, sums = [], []
    for g in range(groups):
        for p in range(points):
            for row in range(h * scale):
                for column in range(w * scale):
                    point = points_of(offset, 0, g, p, points, row, column, scale)
                    sampled = bilinear(key[0, g * d:(g + 1) * d], *point)
                    logits.append((query[0, g * d:(g + 1) * d, row, column] * sampled).sum())
    for g in range(groups):
        for row in range(h * scale):
            for column in range(w * scale):
                sums.append(sum(
                    attention[0, g, p, row, column] * bilinear(
                        value[0, 2 * g:2 * g + 2],
                        *points_of(offset, 0, g, p, points, row, column, scale))
                    for p in range(points)))
    expected = torch.stack(logits).reshape(n, groups, points, h * scale, w * scale)
    check(deform_query_key(query, key, offset, groups, scale), expected, (query, key))
    expected = torch.stack(sums).reshape(groups, h * scale, w * scale, 2)
    expected = expected.permute(0, 3, 1, 2).reshape(1, groups * 2, h * scale, w * scale)
    check(deform_attend(attention, value, offset, scale), expected, (attention, value))


def test_deformable_gradient_of_offsets():
    """The loop above floors coordinates, so offsets are checked by finite differences."""
    double = dict(dtype=torch.float64, requires_grad=True)
    key, query = torch.randn(1, 4, 3, 3, **double), torch.randn(1, 4, 6, 6, **double)
    offset = torch.randn(1, 8, 6, 6, **double)
    attention = torch.rand(1, 2, 2, 6, 6, **double)
    assert torch.autograd.gradcheck(lambda o: deform_query_key(query, key, o, 2), offset)
    assert torch.autograd.gradcheck(lambda o: deform_attend(attention, key, o), offset)
