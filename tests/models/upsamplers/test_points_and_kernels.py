"""What upsamplers show of themselves gives their output back, by sums and samples in loops."""
import pytest
import torch

from mmups.models import CARAFE, LCTC, SAPA, Deconv, DySample, PixelShuffle


def by_windows(x, kernels, s):
    """Every fine pixel's window of the coarse map, zero outside, times its kernel."""
    n, groups, fine_h, fine_w, k, _ = kernels.shape
    padded = torch.nn.functional.pad(x, [k // 2] * 4)
    out = torch.zeros(n, x.shape[1], fine_h, fine_w, dtype=x.dtype)
    for g in range(groups):
        channels = slice(g * x.shape[1] // groups, (g + 1) * x.shape[1] // groups)
        for i in range(fine_h):
            for j in range(fine_w):
                window = padded[:, channels, i // s:i // s + k, j // s:j // s + k]
                out[:, channels, i, j] = torch.einsum('ncab,nab->nc', window, kernels[:, g, i, j])
    return out


@pytest.mark.parametrize('args', [dict(), dict(up_group=2, up_kernel=3, scale_factor=3)], ids=str)
def test_carafe(args, randomise):
    up = randomise(CARAFE(8, **args)).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    kernels = up.kernels(x)
    torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(kernels.shape[:4]).double())
    torch.testing.assert_close(by_windows(x, kernels, up.scale_factor), up(x))


@pytest.mark.parametrize('variant', ['inner', 'base', 'gated'])
def test_sapa(variant, randomise):
    """The guide of a smaller size is extended as in the forward pass."""
    up = randomise(SAPA(32, guide_channels=32, variant=variant)).double()
    x = torch.randn(1, 32, 3, 4, dtype=torch.float64)
    guide = torch.randn(1, 32, 5, 8, dtype=torch.float64)
    kernels = up.kernels(x, guide)
    assert kernels.shape == (1, 1, 6, 8, 5, 5)
    torch.testing.assert_close(by_windows(x, kernels, 2)[:, :, :5], up(x, guide))


@pytest.mark.parametrize('up', [LCTC(3, kernel_size=5), LCTC(3, small_kernel_size=None),
                                LCTC(2, groups=1), Deconv(2)],
                         ids=['both paths', 'large', 'dense', 'Deconv'])
def test_fixed_kernels(up):
    """A lone pixel of the first channel comes out as the kernels that start there."""
    c = up.in_channels
    x = torch.zeros(1, c, 15, 15)
    kernels = up.kernels(x)
    k = kernels.shape[-1]
    assert kernels.shape == (len(kernels), k, k)
    zero, x[0, 0, 7, 7] = up(x), 1
    corner = 14 - (k - 1) // 2
    out = (up(x) - zero)[0, :, corner:corner + k, corner:corner + k]
    count = c if len(kernels) > c else 1  # dense: from the first channel to each
    torch.testing.assert_close(out[:count], kernels[:count], rtol=0, atol=1e-6)


@pytest.mark.parametrize('args', [dict(), dict(style='pl', groups=8), dict(static=True)], ids=str)
def test_points_of_dysample(args, randomise, bilinear_at):
    up = randomise(DySample(16, **args)).double()
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    points, out = up.points(x), up(x)
    for g in range(up.groups):
        channels = slice(g * 16 // up.groups, (g + 1) * 16 // up.groups)
        for n in range(2):
            for i, j in ((0, 0), (1, 3), (5, 7), (2, 6)):
                column, row = points[n, g, :, i, j]
                torch.testing.assert_close(bilinear_at(x[n, channels], row, column),
                                           out[n, channels, i, j], rtol=0, atol=1e-6)


def test_others_have_nothing_to_show():
    up, x = PixelShuffle(4), torch.zeros(1, 4, 3, 3)
    assert up.points(x) is None and up.kernels(x) is None
