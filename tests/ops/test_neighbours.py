"""Sums over neighbouring samples, and the guided filter, against loops over pixels."""
import pytest
import torch
from torch.func import jvp

from mmups.ops import attend_neighbours, guided_filter, neighbours, use_backend


@pytest.mark.parametrize('kernel_size, size', [
    (3, (3, 4)), (3, (6, 8)), (3, (9, 12)), (3, (9, 8)), (3, (5, 7)), (3, (2, 3)), (1, (6, 4)),
    (1, (6, 8)), (5, (6, 8)), (5, (3, 5))],
    ids=str)
def test_attend_neighbours_equals_a_loop(size, kernel_size, bilinear_at):
    """One whole ratio of both sides, two whole ratios, and others; smaller sizes, too."""
    double = dict(dtype=torch.float64, requires_grad=True)
    (height, width), k = size, kernel_size
    value, attention = torch.randn(2, 2, 3, 4, **double), torch.randn(2, k * k, *size, **double)
    pixels = []
    for i in range(height):
        for j in range(width):
            row, column = (i + 0.5) * 3 / height - 0.5, (j + 0.5) * 4 / width - 0.5
            places = [torch.tensor((row + a - k // 2, column + b - k // 2), dtype=torch.float64)
                      for a in range(k) for b in range(k)]
            pixels.append(torch.stack([
                sum(attention[n, tap, i, j] * bilinear_at(value[n], *place)
                    for tap, place in enumerate(places)) for n in range(2)]))
    expected = torch.stack(pixels, dim=-1).reshape(2, 2, *size)
    got = attend_neighbours(attention, value, k)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(got)
    for ours, theirs in zip(torch.autograd.grad(got, (attention, value), upstream),
                            torch.autograd.grad(expected, (attention, value), upstream)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize('backend', ['reference', 'auto'])
@pytest.mark.parametrize('ratio', [1, 2, 8])
def test_a_whole_ratio_and_its_neighbour_agree(ratio, backend):
    """What a recorded graph computes for any size is what is computed for this one."""
    value, attention = torch.randn(2, 5, 4, 3), torch.randn(2, 9, 4 * ratio, 3 * ratio)
    samples = neighbours._samples(value.double(), *attention.shape[-2:], 3)
    expected = sum(attention[:, tap, None] * sampled for tap, sampled in enumerate(samples))
    with use_backend(backend):
        got = attend_neighbours(attention, value)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


def test_whole_ratios_have_a_forward_derivative():
    value, attention = torch.randn(1, 2, 3, 3), torch.randn(1, 9, 6, 6)
    _, slope = jvp(lambda v: attend_neighbours(attention, v), (value, ), (value, ))
    torch.testing.assert_close(slope, attend_neighbours(attention, value))


@pytest.mark.parametrize('size, step, radius', [((8, 6), 2, 1), ((9, 7), 2, 4), ((6, 9), 3, 1),
                                                ((4, 5), 1, 2), ((1, 3), 2, 4)], ids=str)
def test_guided_filter_equals_a_loop(size, step, radius, bilinear_at):
    x, guide = torch.randn(2, 3, *size, dtype=torch.float64).requires_grad_(), torch.randn(
        2, 3, *size, dtype=torch.float64)
    rows, columns = (max(n // step, 1) for n in size)

    def windows(function, maps):
        return torch.stack([torch.stack([function(*(
            m[..., max(i - radius, 0):i + radius + 1, max(j - radius, 0):j + radius + 1]
            for m in maps)) for j in range(columns)], -1) for i in range(rows)], -2)

    def mean(part):
        return part.flatten(2).mean(dim=2)

    def slope(p, i):
        return (mean(p * i) - mean(p) * mean(i)) / (mean(i * i) - mean(i)**2 + 0.001)

    p, i = (maps[..., :step * rows:step, :step * columns:step] for maps in (x, guide))
    a = windows(slope, (p, i))
    b = windows(lambda p, i: mean(p) - slope(p, i) * mean(i), (p, i))
    a, b = windows(mean, (a, )), windows(mean, (b, ))
    got = guided_filter(x, guide, radius, step)
    for row in range(size[0]):
        for column in range(size[1]):
            place = torch.tensor(((row + 0.5) * rows / size[0] - 0.5,
                                  (column + 0.5) * columns / size[1] - 0.5), dtype=torch.float64)
            expected = (bilinear_at(a, *place) * guide[..., row, column] + bilinear_at(b, *place))
            torch.testing.assert_close(got[..., row, column], expected, rtol=0, atol=1e-10)


def test_guided_filter_of_the_guide_keeps_it():
    """Where the variance is far above the noise; half precision is computed in float32."""
    guide = 100 * torch.randn(1, 2, 16, 18)
    torch.testing.assert_close(guided_filter(guide, guide), guide, rtol=0, atol=1e-3)
    assert guided_filter(guide.half(), guide.half()).dtype == torch.float32
