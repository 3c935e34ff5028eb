"""Errors of depth against a loop over pixels in float64, and mmups.DepthMetric."""
import math

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import BaseDataElement, PixelData

from mmups.evaluation import EIGEN_CROP, depth_errors, valid_depth

NAMES = ('a1', 'a2', 'a3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')


def by_loop(prediction, truth):
    """One pixel after the other, in Python's own numbers."""
    pairs = list(zip(prediction.flatten().tolist(), truth.flatten().tolist()))
    n = len(pairs)

    def mean(of):
        return sum(of(p, t) for p, t in pairs) / n
    shares = [mean(lambda p, t, k=k: max(p / t, t / p) < 1.25**k) for k in (1, 2, 3)]
    g_mean = mean(lambda p, t: math.log(p / t))
    g_square = mean(lambda p, t: math.log(p / t)**2)
    return [*shares, mean(lambda p, t: abs(p - t) / t), mean(lambda p, t: (p - t)**2 / t),
            math.sqrt(mean(lambda p, t: (p - t)**2)), math.sqrt(g_square),
            mean(lambda p, t: abs(math.log10(p) - math.log10(t))),
            100 * math.sqrt(g_square - g_mean**2)]


def maps(seed, shape=(8, 11)):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.3, 9.5, shape).astype(np.float32)
    return torch.from_numpy(truth * rng.uniform(0.5, 1.6, shape).astype(np.float32)
                            ), torch.from_numpy(truth)


def test_errors_by_loop():
    prediction, truth = (x.flatten() for x in maps(0))
    errors = depth_errors(prediction, truth)
    assert errors.dtype == torch.float64
    assert errors.tolist() == pytest.approx(by_loop(prediction, truth), rel=1e-9)
    assert 0 < errors[0] < errors[1] < errors[2] < 1


def test_errors_by_hand():
    """2 m seen as 1 m, and 4 m as 4 m."""
    errors = dict(zip(NAMES, depth_errors(torch.tensor([1., 4.]), torch.tensor([2., 4.])).tolist()))
    assert errors == pytest.approx(dict(
        a1=0.5, a2=0.5, a3=0.5, abs_rel=0.25, sq_rel=0.25, rmse=math.sqrt(0.5),
        rmse_log=math.log(2) / math.sqrt(2), log10=math.log10(2) / 2, silog=50 * math.log(2)))


def test_silog_does_not_see_the_scale():
    prediction, truth = (x.flatten() for x in maps(1))
    first, second = depth_errors(prediction, truth), depth_errors(3 * prediction, truth)
    assert first[-1].item() == pytest.approx(second[-1].item(), rel=1e-5)
    assert first[3] < second[3]
    assert depth_errors(2 * truth, truth)[-1].item() == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings('error')
def test_no_pixel_is_nan():
    assert depth_errors(torch.ones(0), torch.ones(0)).isnan().all()


@pytest.mark.parametrize('value', [0., -1., math.nan, math.inf])
def test_impossible_depths(value):
    good, bad = torch.ones(3), torch.tensor([1., value, value])
    for pair, name in (((bad, good), 'predicted'), ((good, bad), 'true')):
        with pytest.raises(ValueError, match=f'2 of 3 {name} depths'):
            depth_errors(*pair)
    with pytest.raises(ValueError, match=r'shapes \(3,\) and \(2,\)'):
        depth_errors(good, good[:2])


def test_valid():
    truth = torch.tensor([[0., -1., math.nan, math.inf, -math.inf],
                          [0.5, 0.6, 7.9, 8., 1e-3]])
    assert valid_depth(truth, 0.5, 8.).int().tolist() == [[0] * 5, [0, 1, 1, 0, 0]]
    assert valid_depth(truth, 0.5, 8., (0, 2, 2, 5)).int().tolist() == [[0] * 5, [0, 0, 1, 0, 0]]
    assert valid_depth(truth, -9., 8.).int().tolist() == [[0] * 5, [1, 1, 1, 0, 1]]


def test_crop():
    """The rows and columns of Eigen et al., by index."""
    valid = valid_depth(torch.ones(480, 640), 1e-3, 10., EIGEN_CROP)
    rows, columns = valid.any(1).nonzero(), valid.any(0).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (45, 470, 41, 600)
    assert valid.sum() == 426 * 560
    with pytest.raises(ValueError, match='rows 45 to 471 and columns 41 to 601 .* 240 x 320'):
        valid_depth(torch.ones(240, 320), 1e-3, 10., EIGEN_CROP)


# --- the metric ----------------------------------------------------------------------------------


def sample(prediction=None, truth=None):
    data = BaseDataElement(metainfo=dict(img_path='a.png'))
    if prediction is not None:
        data.pred_depth_map = PixelData(data=prediction[None])
    if truth is not None:
        data.gt_depth_map = PixelData(data=truth[None])
    return data


def evaluate(batches, **kwargs):
    evaluator = Evaluator(dict(type='mmups.DepthMetric', **kwargs))
    for batch in batches:
        evaluator.process([sample(*pair) for pair in batch])
    return evaluator.evaluate(sum(map(len, batches)))


@pytest.fixture
def logged(monkeypatch):
    lines = []
    for level in ('info', 'warning'):
        monkeypatch.setattr(MMLogger.get_current_instance(), level, lines.append)
    return lines


def test_mean_over_images(logged):
    """Whatever their number of valid pixels; no invalid one counts, whatever is predicted there."""
    pairs = [maps(0), maps(1, (5, 6)), maps(2)]
    expected = []
    for index, (prediction, truth) in enumerate(pairs):
        valid = torch.ones_like(truth, dtype=torch.bool)
        for column, value in enumerate((0., -2., math.nan, math.inf, 0.25, 9.6)):
            truth[index, column], prediction[index, column] = value, math.nan
            valid[index, column] = False
        expected.append(by_loop(prediction[valid].clamp(0.25, 9.6), truth[valid]))
    found = evaluate([pairs[:2], pairs[2:]], min_depth=0.25, max_depth=9.6)
    assert found == pytest.approx(dict(zip(NAMES, np.mean(expected, axis=0))), rel=1e-6)
    assert tuple(found) == NAMES and 'mean over 3 images' in logged[0]


def test_crop_of_the_metric(logged):
    prediction, truth = maps(3)
    found = evaluate([[(prediction, truth)]], crop=(1, 7, 2, 9))
    inner = slice(1, 7), slice(2, 9)
    expected = by_loop(prediction[inner].clamp(max=10), truth[inner])
    assert found == pytest.approx(dict(zip(NAMES, expected)))
    with pytest.raises(ValueError, match="'a.png'.* 8 x 11 pixels"):
        evaluate([[(prediction, truth)]], crop=EIGEN_CROP)


def test_predictions_are_clamped(logged):
    """As the toolbox does, so that 0 and infinity have a logarithm."""
    truth = torch.full((1, 4), 2.)
    pair = torch.tensor([[0., -1., math.inf, 2.]]), truth
    found = evaluate([[pair]], min_depth=1., max_depth=4.)
    assert found == pytest.approx(dict(zip(NAMES, by_loop(torch.tensor([1., 1., 4., 2.]), truth))))


def test_images_without_a_valid_pixel(logged):
    """Are left out, and counted; where there is no other one there is no number."""
    pair, empty = maps(4), (torch.ones(4, 4), torch.zeros(4, 4))
    assert evaluate([[pair, empty], [empty]]) == pytest.approx(evaluate([[pair]]))
    assert logged[0].startswith('2 of 3 images are left out')
    assert len([line for line in logged if 'left out' in line]) == 1
    assert all(map(math.isnan, evaluate([[empty]]).values()))


@pytest.mark.parametrize('pair, message', [
    ((None, torch.ones(2, 2)), "no pred_depth_map.*'gt_depth_map'"),
    ((torch.ones(2, 2), None), 'no gt_depth_map; LoadDepthAnnotation'),
    ((torch.ones(2, 2), torch.ones(2, 3)), r'\(2, 2\) pixels, the ground truth of \(2, 3\)'),
    ((torch.full((2, 2), math.nan), torch.ones(2, 2)), '4 of 4 predicted depths'),
], ids=['no prediction', 'no truth', 'sizes', 'nan'])
def test_mistaken_samples(pair, message):
    with pytest.raises(ValueError, match=f"'a.png'.*{message}"):
        evaluate([[pair]])


@pytest.mark.parametrize('limits', [(0, 10), (2, 1)])
def test_mistaken_limits(limits):
    with pytest.raises(ValueError, match=f'min_depth={limits[0]}, max_depth={limits[1]}'):
        evaluate([], min_depth=limits[0], max_depth=limits[1])
