"""Panoptic quality: cases counted by hand, the COCO reference and torchmetrics as oracles."""
from collections import defaultdict
from importlib.util import find_spec
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmups.evaluation import class_quality, match_segments, mean_quality
from mmups.panoptic_png import ids_from_rgb

# A picture is one row of pixels: '.' is void, a letter a segment. a-f are things of category 0,
# s-z stuff of category 1; capitals do not occur.
ZERO = (0, 0, 0, 0)
CASES = {  # prediction, ground truth, crowds, (iou, tp, fp, fn) of category 0 and of category 1
    'perfect': ('aabbss', 'aabbss', '', (2, 2, 0, 0), (1, 1, 0, 0)),
    'ids are free': ('ddbbtt', 'bbaass', '', (2, 2, 0, 0), (1, 1, 0, 0)),
    'even merge matches nothing': ('aaaass', 'aabbss', '', (0, 0, 1, 2), (1, 1, 0, 0)),
    'merge': ('aaaaa', 'aaaab', '', (4 / 5, 1, 0, 1), ZERO),
    'split': ('aaaab', 'aaaaa', '', (4 / 5, 1, 1, 0), ZERO),
    'miss': ('aasss', 'aabss', '', (1, 1, 0, 1), (2 / 3, 1, 0, 0)),
    'predicted void is a miss': ('aa..', 'aabb', '', (1, 1, 0, 1), ZERO),
    'predicted void stays in the union': ('aa.', 'aaa', '', (2 / 3, 1, 0, 0), ZERO),
    'void leaves the union': ('aaaaa', 'aaa..', '', (1, 1, 0, 0), ZERO),
    'void makes the match': ('aaaa', 'aa..', '', (1, 1, 0, 0), ZERO),
    'mostly void': ('bbbss', '..sss', '', ZERO, (2 / 3, 1, 0, 0)),
    'half void': ('bbss', '.sss', '', (0, 0, 1, 0), (2 / 3, 1, 0, 0)),
    'nothing but void': ('aabs', '....', '', ZERO, ZERO),
    'crowd': ('aabbss', 'ccccss', 'c', ZERO, (1, 1, 0, 0)),
    'crowd matches nothing': ('cc', 'cc', 'c', ZERO, ZERO),
    'crowd missed': ('ss.', 'ssc', 'c', ZERO, (1, 1, 0, 0)),
    'crowd stays in the union': ('aaaa.', 'aaacc', 'c', (3 / 4, 1, 0, 0), ZERO),
    'half crowd': ('aass', 'csss', 'c', (0, 0, 1, 0), (2 / 3, 1, 0, 0)),
    'crowd of another category': ('tttss', 'cccss', 'c', ZERO, (1, 1, 1, 0)),
    'crowd and void together': ('bbbsss', 'c.ssss', 'c', ZERO, (3 / 4, 1, 0, 0)),
    'two crowds together': ('bbbsss', 'cdssss', 'cd', ZERO, (3 / 4, 1, 0, 0)),
    'category mismatch': ('ss', 'aa', '', (0, 0, 0, 1), (0, 0, 1, 0)),
}


def picture(letters):
    """Ids (1, W), and the category of every segment."""
    ids = np.array([[0 if x == '.' else ord(x) for x in letters]])
    return ids, {ord(x): int(x >= 's') for x in letters if x != '.'}


@pytest.mark.parametrize('case', CASES)
def test_by_hand(case):
    prediction, truth, crowds, things, stuff = CASES[case]
    sums = match_segments(*picture(prediction), *picture(truth), [ord(x) for x in crowds],
                          num_categories=2)
    np.testing.assert_allclose(sums, [things, stuff], rtol=1e-12)
    assert sums.dtype == np.float64


def test_true_segment_without_pixels_is_missed():
    ids, categories = picture('aa')
    sums = match_segments(ids, categories, ids, {**categories, 5: 0}, num_categories=1)
    assert sums.tolist() == [[1, 1, 0, 1]]


def test_quality_by_hand():
    sums = np.array([[1.5, 2, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], [0.9, 1, 0, 0]])
    quality = class_quality(sums)
    nan = np.nan
    np.testing.assert_allclose(
        quality, [[0.5, 0.75, 2 / 3], [nan] * 3, [0, 0, 0], [0.9, 0.9, 1]], rtol=1e-12)
    np.testing.assert_allclose(mean_quality(sums), (1.4 / 3, 1.65 / 3, 5 / 9, 3), rtol=1e-12)
    things = np.array([True, True, False, False])
    np.testing.assert_allclose(mean_quality(sums, things), (0.5, 0.75, 2 / 3, 1), rtol=1e-12)
    np.testing.assert_allclose(mean_quality(sums, ~things), (0.45, 0.45, 0.5, 2), rtol=1e-12)


@pytest.mark.parametrize('sums', [np.zeros((0, 4)), np.zeros((3, 4))], ids=['none', 'absent'])
def test_no_category_occurs(sums):
    assert np.isnan(mean_quality(sums)[:3]).all()
    assert mean_quality(sums).n == 0


def test_images_add_up():
    """The sums of two pictures are those of the one in which they lie side by side."""
    pairs = ('aabbs', 'aasss'), ('ccddtt', 'cceett')
    wide = [''.join(side) for side in zip(*pairs)]
    first, second, together = (
        match_segments(*picture(prediction), *picture(truth), num_categories=2)
        for prediction, truth in (*pairs, wide))
    np.testing.assert_allclose(first + second, together, rtol=1e-12)


def random_scene(seed, pred_void=True):
    """Blocks of ids up to 2^24 - 1, shifted and disturbed, with their categories and crowds."""
    rng = np.random.default_rng(seed)
    ids = np.append(rng.choice(2**24 - 1, size=9, replace=False) + 1, 0)
    coarse = rng.integers(0, 10, size=(5, 6))
    truth = np.kron(ids[coarse], np.ones((4, 5), int))  # (20, 30)
    prediction = np.roll(truth, rng.integers(0, 2, size=2), axis=(0, 1))
    noise = rng.random(truth.shape) < 0.15
    prediction[noise] = rng.choice(ids, size=noise.sum())
    if not pred_void:
        prediction[prediction == 0] = ids[0]
    true_categories = {int(i): k % 4 for k, i in enumerate(ids[:9]) if i in truth}
    pred_categories = {int(i): k % 4 if rng.random() < 0.8 else int(rng.integers(4))
                       for k, i in enumerate(ids[:9]) if i in prediction}
    crowds = {c: i for i, c in true_categories.items() if rng.random() < 0.3}
    return prediction, pred_categories, truth, true_categories, sorted(crowds.values())


@pytest.mark.skipif(not find_spec('mmdet'), reason='mmdet carries the COCO reference')
@pytest.mark.parametrize('seed', range(20))
def test_matches_coco_reference(seed, tmp_path, monkeypatch):
    """mmdet has panopticapi's matching loop; only its counter and its decoder are missing."""
    from mmdet.evaluation.functional import panoptic_utils

    counter = defaultdict(lambda: SimpleNamespace(iou=0.0, tp=0, fp=0, fn=0))
    monkeypatch.setattr(panoptic_utils, 'PQStat', lambda: counter)
    monkeypatch.setattr(panoptic_utils, 'rgb2id',
                        lambda x: np.array([[r + 256 * (g + 256 * b) for r, g, b in row]
                                            for row in x.astype(int).tolist()]))
    prediction, pred_categories, truth, true_categories, crowds = random_scene(seed)

    def annotate(name, ids, categories):
        bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name), bgr)
        return dict(image_id=1, file_name=name, segments_info=[
            dict(id=i, category_id=c, area=int((ids == i).sum()), iscrowd=int(i in crowds))
            for i, c in categories.items()])

    pair = (annotate('truth.png', truth, true_categories),
            annotate('prediction.png', prediction, pred_categories))
    panoptic_utils.pq_compute_single_core(0, [pair], str(tmp_path), str(tmp_path), range(4))

    sums = match_segments(prediction, pred_categories, truth, true_categories, crowds,
                          num_categories=4)
    expected = [[counter[c].iou, counter[c].tp, counter[c].fp, counter[c].fn] for c in range(4)]
    np.testing.assert_allclose(sums, expected, rtol=1e-12)
    assert sums[:, 1:].sum() > 0


@pytest.mark.skipif(not find_spec('torchmetrics'), reason='torchmetrics is the oracle')
def test_matches_torchmetrics():
    """Void in the ground truth only: torchmetrics excludes predicted void from the union too."""
    import torch
    from torchmetrics.detection import PanopticQuality

    oracle = PanopticQuality(things={0, 1, 2, 3}, stuffs={4}, return_sq_and_rq=True,
                             return_per_class=True)
    void = 4  # a stuff category that no segment has stands for it: torchmetrics calls it unknown
    sums = np.zeros((4, 4))
    for seed in range(20):
        prediction, pred_categories, truth, true_categories, _ = random_scene(seed, pred_void=False)
        sums += match_segments(prediction, pred_categories, truth, true_categories,
                               num_categories=4)
        category = np.vectorize({0: void + 1, **true_categories}.get)(truth)
        oracle.update(
            torch.from_numpy(np.stack([np.vectorize(pred_categories.get)(prediction), prediction],
                                      axis=-1))[None],
            torch.from_numpy(np.stack([category, truth], axis=-1))[None])
    np.testing.assert_allclose(class_quality(sums), oracle.compute()[:4], rtol=1e-6)


@pytest.mark.parametrize('change, message', [
    (dict(pred_map=np.ones((2, 2), int)), r'\(2, 2\) and ground truth \(1, 3\)'),
    (dict(pred_map=np.ones((1, 3))), 'the prediction map must hold integers, got float64'),
    (dict(pred_map=np.array([[1, 1, 9]])),
     r'the prediction map holds ids that no segment has: \[9\]'),
    (dict(gt_map=np.array([[1, 1, 9]])),
     r'the ground truth map holds ids that no segment has: \[9\]'),
    (dict(pred_categories={1: 0, 2: 0, 8: 1}),
     r'predicted segments that have no pixel in the map: \[8\]'),
    (dict(pred_categories={0: 0, 1: 0, 2: 1}), r'must be positive \(0 is void\), got 0'),
    (dict(gt_categories={1: 0, 2: 5}), r'segment 2 has category 5, expected 0 \.\. 1'),
    (dict(crowd_ids=[7]), r'crowd ids \[7\] are not among'),
])
def test_errors(change, message):
    arguments = dict(pred_map=np.array([[1, 1, 2]]), pred_categories={1: 0, 2: 1},
                     gt_map=np.array([[1, 1, 2]]), gt_categories={1: 0, 2: 1}, num_categories=2)
    assert match_segments(**arguments).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    with pytest.raises(ValueError, match=message):
        match_segments(**{**arguments, **change})


def test_sums_of_wrong_shape():
    with pytest.raises(ValueError, match=r'shape \(C, 4\), got \(3,\)'):
        class_quality(np.zeros(3))


def test_ids_from_rgb():
    rgb = np.array([[[0, 0, 0], [255, 0, 0], [44, 1, 0], [0, 0, 1], [255, 255, 255]]], np.uint8)
    ids = ids_from_rgb(rgb)
    assert ids.tolist() == [[0, 255, 300, 65536, 2**24 - 1]]
    assert ids.dtype == np.int32
    with pytest.raises(ValueError, match=r'uint8 .* got uint8 \(1, 5\)'):
        ids_from_rgb(rgb[..., 0])
    with pytest.raises(ValueError, match='got int64'):
        ids_from_rgb(rgb.astype(np.int64))


# --- boundary PQ ---------------------------------------------------------------------------------


def by_scipy(prediction, pred_categories, truth, true_categories, crowds, width):
    """PQ's counts with the smaller IoU, by loops over segments and SciPy's erosion; (4, 4)."""
    ndimage = pytest.importorskip('scipy.ndimage')

    def inner_band(mask):
        return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)

    def iou(a, b):
        union = ((a | b) & ~(b & (truth == 0))).sum()
        return (a & b).sum() / union if union else 0

    counts = np.zeros((4, 4))
    matched = set()
    for i, category in true_categories.items():
        if i in crowds:
            continue
        a = truth == i
        for j in (j for j, c in pred_categories.items() if c == category):
            b = prediction == j
            smaller = min(iou(a, b), iou(inner_band(a), inner_band(b)))
            if smaller > 0.5:
                counts[category] += smaller, 1, 0, 0
                matched |= {i, j - 2**30}
        counts[category, 3] += i not in matched
    for j, category in pred_categories.items():
        if j - 2**30 in matched:
            continue
        excuses = [0, *(i for i in crowds if true_categories[i] == category)]
        b = prediction == j
        counts[category, 2] += 2 * (b & np.isin(truth, excuses)).sum() <= b.sum()
    return counts


@pytest.mark.parametrize('width', [1, 2, 100])
@pytest.mark.parametrize('seed', range(8))
def test_boundary_by_scipy(seed, width):
    scene = random_scene(seed)
    sums = match_segments(*scene, num_categories=4, boundary_width=width)
    np.testing.assert_allclose(sums, by_scipy(*scene, width), rtol=1e-12)
    plain = match_segments(*scene, num_categories=4)
    assert (sums[:, :2] <= plain[:, :2] + 1e-12).all()
    if width == 100:
        np.testing.assert_allclose(sums, plain, rtol=1e-12)  # the band is the segment


def test_boundary_by_hand():
    """8 x 8 pixels of 16 x 12, predicted one to the right: IoU 56/72, of their bands less."""
    truth = np.full((12, 16), 9)
    truth[2:10, 2:10] = 5
    prediction = np.roll(truth, 1, axis=1)
    categories = {5: 0, 9: 1}
    plain = match_segments(prediction, categories, truth, categories, num_categories=2)
    assert plain[0].tolist() == [56 / 72, 1, 0, 0]
    # upper and lower rows share 7 of 8 pixels each, left and right columns nothing more
    sums = match_segments(prediction, categories, truth, categories, num_categories=2,
                          boundary_width=1)
    assert 14 / (2 * 28 - 14) < 0.5 and sums[0].tolist() == [0, 0, 1, 1]
    # 2 pixels: 48 each; rows share 2 x 2 x 7, columns 2 x 4 x 1
    sums = match_segments(prediction, categories, truth, categories, num_categories=2,
                          boundary_width=2)
    assert sums[0].tolist() == [36 / (2 * 48 - 36), 1, 0, 0]
