"""Boundary bands and their IoU: SciPy's morphology and drawings as oracles."""
import numpy as np
import pytest
import torch

from mmups.evaluation import (
    accuracy,
    band_width,
    boundary_band,
    boundary_intersect_and_union,
    class_iou,
    mean_iou,
    split_intersect_and_union,
)

ndimage = pytest.importorskip('scipy.ndimage')
IGNORE = 255


def draw(text):
    """A map of labels: digits, and '.' for ignored pixels."""
    return np.array([[IGNORE if x == '.' else int(x) for x in line.strip()]
                     for line in text.strip().splitlines()])


def scene(seed, shape=(23, 38), classes=4, ignore=True):
    """Blobs of labels, a disturbed copy as the prediction, and ignored pixels in the truth."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, classes, (shape[0] // 5 + 1, shape[1] // 5 + 1))
    target = np.kron(blocks, np.ones((5, 5), int))[:shape[0], :shape[1]]
    pred = np.roll(target, rng.integers(-2, 3, 2), (0, 1))
    noise = rng.random(shape) < 0.05
    pred[noise] = rng.integers(0, classes, noise.sum())
    if ignore:
        target = target.copy()
        target[4:9, 6:20] = target[rng.random(shape) < 0.02] = IGNORE
    return pred, target


def inner_band(mask, width):
    """Of a binary mask, by SciPy: what that many erosions by a 3 x 3 square take away."""
    width = min(width, 100)
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)


def by_scipy(pred, target, classes, width, ignored):
    known = target != IGNORE
    rows = []
    for k in range(classes):
        truth = (target == k) | ((pred == k) & ~known if ignored == 'fill' else False)
        a, b = inner_band(pred == k, width) & known, inner_band(truth, width) & known
        rows.append([(a & b).sum(), (a | b).sum()])
    return np.array(rows).T


@pytest.mark.parametrize('shape', [(23, 38), (1, 1), (1, 9), (8, 3), (40, 5)], ids=str)
@pytest.mark.parametrize('width', [1, 2, 5, 50, 10**6])
def test_band_equals_erosion(shape, width):
    _, labels = scene(0, shape, ignore=False)
    band = boundary_band(torch.from_numpy(labels), width).numpy()
    for k in range(4):
        np.testing.assert_array_equal(band & (labels == k), inner_band(labels == k, width))


def test_band_by_hand():
    """The frame makes a contour unless it is told not to; what is skipped makes none."""
    labels = torch.from_numpy(draw('''
        0000011
        0000011
        0000011
        0000011'''))
    row = boundary_band(labels, 1, frame=False)[0].int().tolist()
    assert row == [0, 0, 0, 0, 1, 1, 0]
    assert boundary_band(labels, 1).int().tolist() == [
        [1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]]
    skip = labels == 1
    assert not boundary_band(labels, 2, frame=False, skip=skip).any()
    assert boundary_band(labels, 1, skip=skip)[1].int().tolist() == [1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize('ignored', ['fill', 'background'])
@pytest.mark.parametrize('width', [1, 3])
@pytest.mark.parametrize('seed', range(4))
def test_equals_scipy(seed, width, ignored):
    pred, target = scene(seed)
    counts = boundary_intersect_and_union(pred, target, 4, width=width, ignored=ignored)
    np.testing.assert_array_equal(torch.stack(counts), by_scipy(pred, target, 4, width, ignored))
    assert counts[0].dtype == counts[1].dtype == torch.int64


@pytest.mark.parametrize('shape', [(100, 75), (37, 51)], ids=str)
def test_ratio_is_of_the_diagonal(shape):
    pred, target = scene(1, shape)
    width = {(100, 75): 5, (37, 51): 3}[shape]  # 0.04 * 125, 0.04 * 63.007
    expected = by_scipy(pred, target, 4, width, 'fill')
    counts = boundary_intersect_and_union(pred, target, 4, ratio=0.04)
    np.testing.assert_array_equal(torch.stack(counts), expected)


def test_band_width():
    """The values that the paper's code has for COCO and Cityscapes."""
    assert band_width(512, 683) == 17
    assert band_width(1024, 2048, 0.005) == 11
    assert band_width(128, 128) == 4
    assert band_width(8, 8) == band_width(1, 1, 0.005) == 1
    assert band_width(512, 683, pixels=3) == 3


def test_by_hand():
    """A bar of class 1 that is predicted one pixel too far to the right; bands of one pixel."""
    target = draw('''
        0000000
        0111000
        0111000
        0111000
        0000000''')
    pred = np.roll(target, 1, axis=1)
    intersect, union = boundary_intersect_and_union(pred, target, 2, width=1)
    # Class 1: two rings of 8 pixels, which share 2 pixels of their upper row and 2 of their lower.
    # Class 0: the frame, 20 pixels, in both bands. Beside the object, in 3 rows each: column 4 in
    # the truth's band (the object ends at 3), columns 1 and 5 in the prediction's (2 to 4).
    assert intersect.tolist() == [20, 4] and union.tolist() == [29, 12]
    assert mean_iou(intersect, union) == pytest.approx((20 / 29 + 4 / 12) / 2)


def test_fill_makes_no_contour_where_nobody_labelled():
    """Half of an object is ignored. Its unlabelled edge is a contour for 'background' alone."""
    target = draw('''
        0000000000
        0000000000
        001111....
        001111....
        001111....
        001111....
        0000000000
        0000000000''')
    pred = draw('''
        0000000000
        0000000000
        0011111100
        0011111100
        0011111100
        0011111100
        0000000000
        0000000000''')
    intersect, union = boundary_intersect_and_union(pred, target, 2, width=1)
    assert intersect.tolist() == union.tolist()
    intersect, union = boundary_intersect_and_union(pred, target, 2, width=1, ignored='background')
    assert intersect.tolist()[1] == 10 and union.tolist()[1] == 12  # column 5 (rows 3, 4) is extra


@pytest.mark.parametrize('ignored', ['fill', 'background'])
def test_ignored_pixels_do_not_count(ignored):
    pred, _ = scene(0)
    for counts in (boundary_intersect_and_union(pred, np.full_like(pred, IGNORE), 4,
                                                ignored=ignored),
                   *split_intersect_and_union(pred, np.full_like(pred, IGNORE), 4)):
        assert torch.stack(tuple(counts)).sum() == 0


def test_another_ignore_index():
    """Here 0, which is a class that the predictions know."""
    pred, target = scene(2, ignore=False)
    expected = by_scipy(pred, np.where(target == 0, IGNORE, target), 4, 2, 'fill')
    counts = boundary_intersect_and_union(pred, target, 4, ignore_index=0, width=2)
    np.testing.assert_array_equal(torch.stack(counts), expected)
    target[0, 0] = IGNORE
    with pytest.raises(ValueError, match=r'holds labels 0 \.\. 255, expected 0 \.\. 3'):
        boundary_intersect_and_union(pred, target, 4, ignore_index=0)


def test_perfect_and_absent():
    """A class in neither map is NaN, one that is missed is 0."""
    labels = torch.tensor([[0, 0, 1, 1]] * 4)
    intersect, union = boundary_intersect_and_union(labels, labels, 3)
    assert class_iou(intersect, union)[:2].tolist() == [1, 1]
    assert torch.isnan(class_iou(intersect, union)[2])
    assert mean_iou(intersect, union) == 1
    intersect, union = boundary_intersect_and_union(labels * 0, labels, 3)
    assert class_iou(intersect, union)[1] == 0


@pytest.mark.parametrize('shape', [(0, 4), (4, 0), (0, 5, 5)], ids=str)
def test_empty(shape):
    empty = torch.zeros(shape, dtype=torch.long)
    counts = torch.stack(boundary_intersect_and_union(empty, empty, 3))
    assert counts.shape == (2, 3) and counts.sum() == 0
    split = split_intersect_and_union(empty, empty, 3)
    assert split.shape == (2, 2, 3) and split.sum() == 0
    assert np.isnan(mean_iou(*counts)) and np.isnan(accuracy(*counts))


def test_pictures_add_up():
    pairs = [scene(seed) for seed in range(3)]
    pred, target = (np.stack(maps) for maps in zip(*pairs))
    for function in (boundary_intersect_and_union, split_intersect_and_union):
        alone = sum(torch.stack(tuple(function(*pair, 4))) for pair in pairs)
        assert torch.equal(torch.stack(tuple(function(pred, target, 4))), alone)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.int32, torch.uint8, torch.int32], ids=str)
def test_kinds_of_integers(kind):
    pred, target = scene(0)
    expected = torch.stack(boundary_intersect_and_union(pred, target, 4))
    if isinstance(kind, torch.dtype):
        maps = (torch.from_numpy(labels).to(kind) for labels in (pred, target))
    else:
        maps = (labels.astype(kind) for labels in (pred, target))
    assert torch.equal(torch.stack(boundary_intersect_and_union(*maps, 4)), expected)


@pytest.mark.parametrize('seed', range(3))
def test_split_by_distances(seed):
    """A pixel is at an edge where a pixel of another class is near; by all pairs of pixels."""
    pred, target = scene(seed, (14, 17))
    width, known = 2, target != IGNORE
    edge = np.zeros_like(known)
    for y, x in zip(*known.nonzero()):
        near = target[max(0, y - width):y + width + 1, max(0, x - width):x + width + 1]
        edge[y, x] = np.isin(near, [target[y, x], IGNORE], invert=True).any()
    parts = split_intersect_and_union(pred, target, 4, width=width)
    for part, (intersect, union) in zip((edge, known & ~edge), parts):
        assert part.any()
        for k in range(4):
            a, b = part & (pred == k), part & (target == k)
            assert (intersect[k], union[k]) == ((a & b).sum(), (a | b).sum())
        assert accuracy(intersect, union) == pytest.approx((pred == target)[part].mean())


@pytest.mark.parametrize('bad, message', [
    (dict(pred=np.zeros((2, 3), int)), r'share one shape .*\(2, 3\) and \(4, 4\)'),
    (dict(pred=np.zeros((2, 1, 4, 4), int), target=np.zeros((2, 1, 4, 4), int)), 'share one shape'),
    (dict(pred=np.zeros((4, 4))), 'prediction must hold integer labels, got torch.float64'),
    (dict(target=np.zeros((4, 4))), 'ground truth must hold integer labels'),
    (dict(pred=np.full((4, 4), 3)), r'prediction holds labels 3 \.\. 3, expected 0 \.\. 2'),
    (dict(target=np.full((4, 4), -1)), r'ground truth holds labels -1 \.\. -1'),
    (dict(ratio=0), 'ratio must be a share of the diagonal.*got 0'),
    (dict(ratio=2), 'got 2; for pixels there is width'),
    (dict(width=0), 'integer >= 1, got 0'),
    (dict(width=1.5), r'integer >= 1, got 1\.5'),
    (dict(ignored='drop'), r"ignored must be one of \('fill', 'background'\), got 'drop'"),
], ids=lambda value: '-'.join(value) if isinstance(value, dict) else '')
def test_bad_input(bad, message):
    good = dict(pred=np.zeros((4, 4), int), target=np.zeros((4, 4), int), num_classes=3)
    with pytest.raises(ValueError, match=message):
        boundary_intersect_and_union(**{**good, **bad})
