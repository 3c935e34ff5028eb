"""Disparity, occlusion and errors of projects/stereo against loops and cases by hand."""
import math

import numpy as np
import pytest
import torch

pytest.importorskip('skimage')
pytest.importorskip('sklearn')

from projects.stereo.stereo import (  # noqa: E402
    DisparityMetric,
    Layer,
    Motorcycle,
    PhotoWarps,
    load_photos,
    occlusions,
    random_layers,
    render,
)


def at_shifted(view, disparity):
    """What each pixel's match in the right view (H, W, 3) shows, NaN outside: in loops."""
    height, width = disparity.shape
    found = np.full((height, width, 3), np.nan)
    for i in range(height):
        for j in range(width):
            x = j - float(disparity[i, j])
            low = math.floor(x)
            if low >= 0:
                share = x - low
                next_pixel = view[i, min(low + 1, width - 1)].astype(float)
                found[i, j] = (1 - share) * view[i, low].astype(float) + share * next_pixel
    return found


@pytest.mark.parametrize('index', range(3))
def test_warping_the_right_view_gives_the_left_one(index):
    scene = random_layers(load_photos('train'), np.random.default_rng(index), (48, 96), 32)
    pair = render(scene, 32)
    difference = np.abs(at_shifted(pair.right, pair.disparity) - pair.left).max(-1)
    assert difference[~pair.occluded].max() < 1e-2  # of 255; disparity is float32
    # Elsewhere another surface, or nothing.
    assert 0.02 < pair.occluded.mean() < 0.6
    assert np.nanmax(difference[pair.occluded]) > 20
    # A second way to find the same, from the disparity of the left view alone.
    again = occlusions(pair.disparity, np.ones((48, 96), bool))
    assert (again == pair.occluded).mean() > 0.95


def flat(disparity, mask, level, size=(4, 16), reach=8):
    texture = np.random.default_rng(level).uniform(0, 255, (size[0], reach + size[1], 3))
    wide = (size[0], size[1] + reach)
    inside = np.zeros(wide, bool)
    inside[mask] = True
    return Layer(texture.astype(np.float32), np.full(wide, disparity, np.float32), inside)


EVERYWHERE = np.s_[:, :]


def test_a_square_before_a_wall():
    """Wall of disparity 2, square of disparity 6 at the columns 9 to 12: it hides the four columns
    of the wall on its left, and two columns of the wall lie outside of the right view."""
    square = np.s_[1:3, 9:13]
    pair = render([flat(2, EVERYWHERE, 0), flat(6, square, 1)], 8)
    truth, occluded = np.full((4, 16), 2.), np.zeros((4, 16), bool)
    truth[square] = 6
    occluded[1:3, 5:9] = occluded[:, :2] = True
    np.testing.assert_array_equal(pair.disparity, truth)
    np.testing.assert_array_equal(pair.occluded, occluded)
    np.testing.assert_array_equal(pair.right[1:3, 3:7], pair.left[square])
    np.testing.assert_array_equal(pair.right[0, :14], pair.left[0, 2:])
    np.testing.assert_array_equal(occlusions(truth, np.ones((4, 16), bool)), occluded)


def test_a_point_between_two_pixels_hides_both():
    truth = np.full((1, 16), 2.)
    truth[0, 9] = 6.5  # at 2.5 of the right view, where the wall's columns 4 and 5 are at 2 and 3
    hidden = occlusions(truth, np.ones((1, 16), bool))
    np.testing.assert_array_equal(np.flatnonzero(hidden), [0, 1, 4, 5])


def test_what_is_unknown_hides_nothing():
    truth, valid = np.full((1, 16), 2.), np.ones((1, 16), bool)
    truth[0, 9:13] = 6
    valid[0, 9:13] = False
    np.testing.assert_array_equal(np.flatnonzero(occlusions(truth, valid)), [0, 1])


def test_scenes_without_a_ground_truth_are_refused():
    with pytest.raises(ValueError, match='within 0 and 8, got 9'):
        render([flat(9, EVERYWHERE, 0)], 8)
    ramp = flat(0, EVERYWHERE, 0)
    ramp.disparity[:] = np.arange(24).clip(0, 8)
    with pytest.raises(ValueError, match='fold'):
        render([ramp], 8)


def test_pairs_are_what_their_number_says():
    pairs = PhotoWarps('train', 3, size=(32, 64))
    again, val = PhotoWarps('train', 3, size=(32, 64)), PhotoWarps('val', 3, size=(32, 64))
    other = PhotoWarps('train', 3, size=(32, 64), seed=1)
    views = pairs[1]['inputs']
    assert views.shape == (6, 32, 64) and 0 <= views.min() < 0.2 < views.max() <= 1
    assert torch.equal(views, again[1]['inputs'])
    for stranger in (pairs[0], val[1], other[1]):
        assert not torch.equal(views, stranger['inputs'])
    assert len(list(pairs)) == 3
    with pytest.raises(ValueError, match="split='test'"):
        PhotoWarps('test', 3)


def test_splits_share_no_column_of_a_photograph():
    for train, val in zip(load_photos('train'), load_photos('val')):
        assert train.shape[0] == val.shape[0]
        assert train.shape[1] == round(0.7 * (train.shape[1] + val.shape[1]))


def test_motorcycle_is_read_in_the_right_direction():
    """Known disparities bring the right view to the left one, better than such beside them."""
    item, = Motorcycle()
    truth = item['data_samples']
    valid = truth['valid'].numpy()
    assert item['inputs'].shape == (6, 500, 741)
    assert abs(valid.mean() - 0.9265) < 1e-4
    assert truth['disparity'][truth['valid']].min() > 7 and truth['disparity'].max() < 60
    seen = (valid & ~truth['occluded'].numpy())[200:216]
    left, right = (view[:, 200:216].numpy().transpose(1, 2, 0) for view in item['inputs'].split(3))
    disparity = truth['disparity'].numpy()[200:216]

    def error(shift):
        return np.nanmean(np.abs(at_shifted(right, disparity + shift) - left)[seen])
    assert error(0) < 0.5 * min(error(-3), error(3))
    assert 0.03 < truth['occluded'].numpy().mean() < 0.25


def maps(*values, dtype=torch.float):
    return torch.tensor([values], dtype=dtype)


def test_metric_by_hand():
    """Over pixels, not over images; an error of 3 is not above 3; unknown pixels have no say."""
    metric = DisparityMetric()
    metric.process({}, [
        dict(prediction=maps(10., 13., 99., 6.), disparity=maps(10., 10., 0., 10.),
             valid=maps(1, 1, 0, 1, dtype=torch.bool), occluded=maps(0, 0, 0, 1, dtype=torch.bool)),
        dict(prediction=maps(5.), disparity=maps(1.), valid=maps(1, dtype=torch.bool),
             occluded=maps(0, dtype=torch.bool))])
    assert metric.evaluate(2) == pytest.approx({
        'stereo/EPE': (0 + 3 + 4 + 4) / 4, 'stereo/3px': 100 * 2 / 4,
        'stereo/EPE_visible': (0 + 3 + 4) / 3, 'stereo/3px_visible': 100 / 3})


def test_metric_without_a_pixel_and_of_another_size():
    nothing = dict(prediction=maps(1.), disparity=maps(0.), valid=maps(0, dtype=torch.bool),
                   occluded=maps(0, dtype=torch.bool))
    metric = DisparityMetric()
    metric.process({}, [nothing])
    assert all(math.isnan(value) for value in metric.evaluate(1).values())
    with pytest.raises(ValueError, match=r'\(1, 2\), \(1, 1\)'):
        metric.process({}, [dict(nothing, prediction=maps(1., 2.))])
