"""What ``size`` may be, and which guides fit it: the same for every class."""
from typing import NamedTuple

import numpy as np
import pytest
import torch


class HeightWidth(NamedTuple):
    height: int
    width: int


@pytest.mark.parametrize('size', [
    [9, 12], (np.int64(9), np.int32(12)), torch.Size([9, 12]), HeightWidth(9, 12),
    tuple(torch.empty(9, 12).shape)], ids=repr)
def test_pairs_of_integers(case, size):
    up = case.build().eval()
    inputs = case.inputs()
    assert torch.equal(up(*inputs, size=size), up(*inputs, size=(9, 12)))


@pytest.mark.parametrize('size', [
    10, 10., '10', (10., 12.), (10, 12.), (10, 12, 1), (10, ), (), torch.tensor([10, 12]),
    torch.tensor(10), np.array([10, 12]), (0, 12), (10, -12), (None, 12), (True, 12), ('10', '12'),
    {10: 12}, {10, 12}, range(10, 14, 2), False, ((10, 12), (10, 12)), (torch.tensor(10), 12),
    (float('nan'), 12), (np.float64(10), 12)], ids=repr)
def test_everything_else_is_refused(plain_case, size):
    up = plain_case.build().eval()
    with pytest.raises(ValueError) as info:
        up(*plain_case.inputs(), size=size)
    assert str(info.value) == (
        f'size must be two positive integers (height, width), got size={size!r}')


@pytest.mark.parametrize('size', [None, (10, 12), (9, 12), (11, 13)], ids=str)
@pytest.mark.parametrize('guide', [(40, 48), (12, 12), (10, 14), (8, 12), (10, 10), (5, 6), (1, 1),
                                   (20, 24), (12, 10)], ids=str)
def test_a_guide_of_another_scale_is_refused(case, guide, size):
    """Also where ``size`` is given and fits; both sizes are quoted."""
    up = case.build().eval()
    if up.any_size and size is None:
        pytest.skip('the guide says which size to reach')
    exact = size if up.any_size else (10, 12)
    ratio = max(1, round(guide[0] / exact[0])) if up.image_guided else 1
    if max(abs(a - ratio * b) for a, b in zip(guide, exact)) < 2 * ratio:
        pytest.skip('fits')
    x, guide = torch.randn(1, case.channels, 5, 6), torch.randn(1, case.channels, *guide)
    with pytest.raises(ValueError) as info:
        up(x, guide, size)
    kind = 'size' if size is None and ratio == 1 else 'a guide of size'
    exact = exact if ratio == 1 else f'{exact}, and {ratio} times that'
    assert str(info.value) == (
        f'{case.name} with scale_factor=2 brings (5, 6) to {exact}, which cannot be fitted to '
        f'{kind} {tuple(guide.shape[2:])}: each side may differ by less than '
        f'{2 * ratio}')


@pytest.mark.parametrize('s', [1, 2, 3])
def test_how_far_a_guide_may_be_off(case, s):
    """By less than one coarse pixel, to both sides, in each direction."""
    channels = 288
    up = case.build(s, channels).eval()
    x = torch.randn(1, channels, 3, 4)
    for d in range(-s - 1, s + 2):
        for shape in ((3 * s + d, 4 * s), (3 * s, 4 * s - d)):
            guide = torch.randn(1, channels, *shape)
            if abs(d) < s:
                assert up(x, guide, (3 * s, 4 * s)).shape[2:] == (3 * s, 4 * s)
            else:
                with pytest.raises(ValueError, match='guide of size'):
                    up(x, guide, (3 * s, 4 * s))


def test_a_jump_takes_the_guide_of_the_size_that_it_reaches(case):
    """Methods that reach any size in one step are given the finest map as guide."""
    up = case.build().eval()
    x, finest = torch.randn(1, case.channels, 5, 6), torch.randn(1, case.channels, 39, 47)
    if up.any_size:
        assert up(x, finest, finest.shape[2:]).shape == finest.shape
        assert torch.equal(up(x, finest), up(x, finest, finest.shape[2:]))
    elif up.image_guided:
        assert up(x, finest).shape[2:] == (10, 12)
    else:
        with pytest.raises(ValueError, match=r'\(10, 12\), which .* size \(39, 47\)'):
            up(x, finest, finest.shape[2:])


def test_unneeded_guides_are_not_read(case):
    """A guide that fits changes nothing in a method that needs none, and `size` wins."""
    if case.cls.guided:
        pytest.skip('needs its guide')
    up = case.build().eval()
    x = torch.randn(1, case.channels, 5, 6)
    guide = torch.full((3, 7, 10, 11), torch.nan)
    assert torch.equal(up(x, guide, (9, 12)), up(x, size=(9, 12)))
