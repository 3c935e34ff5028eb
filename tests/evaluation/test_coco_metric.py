"""mmups.BoundaryCocoMetric: boundary AP of drawn masks, counted by hand."""
import json

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS

pytest.importorskip('mmdet')
ndimage = pytest.importorskip('scipy.ndimage')

from mmdet.evaluation import CocoMetric  # noqa: E402
from pycocotools import mask as mask_utils  # noqa: E402

from mmups.evaluation.coco_metric import BoundaryCocoMetric, mask_band  # noqa: E402

SIZE = (60, 80)  # diagonal 100


def square(y, x, side):
    mask = np.zeros(SIZE, np.uint8)
    mask[y:y + side, x:x + side] = 1
    return mask


def rle(mask):
    return mask_utils.encode(np.asfortranarray(mask))


#: Image -> its objects, crowd or not, and its detections with their scores.
OBJECTS = {1: [(square(10, 10, 20), 0), (square(10, 50, 20), 0)], 2: [(square(30, 30, 20), 0)]}
DETECTIONS = {
    1: [(square(10, 10, 20), 0.9),  # exact
        (square(10, 51, 20), 0.8)],  # one pixel to the right
    2: [(square(32, 32, 20), 0.7)],  # two to the right and down
}


def write(path, objects, classes=('digit', )):
    annotations = []
    for image, masks in objects.items():
        for mask, crowd in masks:
            code = rle(mask)
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image, category_id=7, iscrowd=crowd,
                area=int(mask.sum()), bbox=mask_utils.toBbox(code).tolist(),
                segmentation=dict(code, counts=code['counts'].decode())))
    path.write_text(json.dumps(dict(
        images=[dict(id=image, height=SIZE[0], width=SIZE[1]) for image in objects],
        categories=[dict(id=7, name='digit')], annotations=annotations)))
    return str(path)


def samples(detections):
    for image, masks in detections.items():
        boxes = [mask_utils.toBbox(rle(mask)) for mask, _ in masks]
        boxes = torch.tensor(np.array(boxes)).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        yield dict(img_id=image, ori_shape=SIZE, pred_instances=dict(
            bboxes=boxes, scores=torch.tensor([score for _, score in masks]),
            labels=torch.zeros(len(masks), dtype=torch.long),
            masks=torch.tensor(np.array([mask for mask, _ in masks])).reshape(-1, *SIZE).bool()))


@pytest.fixture
def evaluate(tmp_path):
    def run(metric, objects=OBJECTS, detections=DETECTIONS, **kwargs):
        built = METRICS.build(dict(type='mmups.BoundaryCocoMetric', metric=metric,
                                   ann_file=write(tmp_path / 'a.json', objects), **kwargs))
        built.dataset_meta = dict(classes=('digit', ))
        for each in samples(detections):
            built.process({}, [each])
        return built.evaluate(len(detections))
    return run


def ring(side, width):
    return side**2 - max(0, side - 2 * width)**2


def ap(thresholds):
    """COCO's AP where all detections are in order of their IoU: each threshold, with n of 3 objects
    found by the n best, has precision 1 up to recall n / 3, at 101 points."""
    return np.mean([np.mean(np.linspace(0, 1, 101) <= n / 3) for n in thresholds])


def test_by_hand(evaluate):
    """Bands of 2 pixels (0.02 of the diagonal). Detections come in the order of their IoU."""
    metrics = evaluate(['bbox', 'segm', 'boundary'])
    thresholds = np.linspace(0.5, 0.95, 10)
    mask_iou = [1, 20 * 19 / (20 * 21), 18 * 18 / (2 * 400 - 18 * 18)]
    # One pixel aside: rows share 2 x 2 x 19, columns 2 x 16 x 1.
    shared = 4 * 19 + 32
    # Two: what of the first ring, 20 wide, is in the second, from 2 to 22. Its lower two rows,
    # 18 long, of which the second has in its band only the 2 at its left: so does its right side.
    first, second = square(0, 0, 20), square(2, 2, 20)
    rings = [mask - np.roll(square(0, 0, 16), (2 + k, 2 + k), (0, 1))
             for k, mask in ((0, first), (2, second))]
    assert ring(20, 2) == rings[0].sum() == 144
    both = (rings[0] & rings[1]).sum()
    band_iou = [1, shared / (2 * 144 - shared), both / (2 * 144 - both)]
    assert band_iou[1] == 0.6 and band_iou[2] < 0.1
    expected = {
        'segm_mAP': ap([sum(iou >= t for iou in mask_iou) for t in thresholds]),
        'boundary_mAP': ap([sum(iou >= t for iou in band_iou) for t in thresholds]),
        'boundary_mAP_50': ap([2]), 'boundary_mAP_75': ap([1]), 'segm_mAP_50': ap([3])}
    for name, value in expected.items():
        assert metrics[f'coco/{name}'] == pytest.approx(value, abs=0.0006), name
    assert metrics['coco/boundary_mAP_l'] == -1  # no large object
    assert set(metrics) == {f'coco/{kind}_mAP{suffix}' for kind in ('bbox', 'segm', 'boundary')
                            for suffix in ('', '_50', '_75', '_s', '_m', '_l')}


def test_smaller_of_both(evaluate):
    """With a hole that the band does not see, the IoU of the masks counts."""
    hole = square(0, 0, 60) - square(10, 10, 40)
    objects = {1: [(square(0, 0, 60), 0)]}
    metrics = evaluate(['segm', 'boundary'], objects, {1: [(hole, 0.9)]}, width=1)
    assert metrics['coco/segm_mAP_50'] == metrics['coco/boundary_mAP_50'] == 1  # 2000 of 3600
    assert metrics['coco/segm_mAP'] == metrics['coco/boundary_mAP'] == pytest.approx(0.2)


@pytest.mark.parametrize('metric', ['bbox', 'segm', ['bbox', 'segm']], ids=str)
def test_others_are_those_of_mmdet(evaluate, tmp_path, metric):
    ours = evaluate(metric)
    theirs = CocoMetric(ann_file=str(tmp_path / 'a.json'), metric=metric)
    theirs.dataset_meta = dict(classes=('digit', ))
    for each in samples(DETECTIONS):
        theirs.process({}, [each])
    assert ours == theirs.evaluate(2)


@pytest.mark.parametrize('kwargs', [dict(width=1), dict(ratio=0.05), {}], ids=str)
@pytest.mark.parametrize('mask', [
    square(0, 0, 9), square(5, 70, 10), square(20, 20, 1), square(0, 0, 0),
    square(3, 3, 30) - square(5, 5, 20)], ids=['corner', 'right', 'dot', 'empty', 'hole'])
def test_band_of_a_mask(mask, kwargs):
    width = kwargs.get('width', 5 if 'ratio' in kwargs else 2)
    expected = mask.astype(bool) & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)
    np.testing.assert_array_equal(mask_utils.decode(mask_band(rle(mask), **kwargs)), expected)


def test_crowd_excuses_by_its_mask(evaluate):
    """A detection within a crowd is no false positive; its band is nowhere near the crowd's."""
    objects = {1: [*OBJECTS[1], (square(5, 5, 50), 1)], 2: OBJECTS[2]}
    inside = {1: [(square(35, 35, 10), 0.95), *DETECTIONS[1]], 2: DETECTIONS[2]}
    assert evaluate('boundary', objects, inside) == evaluate('boundary')
    assert evaluate('boundary', OBJECTS, inside) != evaluate('boundary')


def test_images_without_detections(evaluate):
    objects = {**OBJECTS, 3: [(square(0, 0, 20), 0)], 4: []}
    metrics = evaluate('boundary', objects, {**DETECTIONS, 3: [], 4: []}, width=100)
    found = evaluate('boundary', width=100)
    assert 0 < metrics['coco/boundary_mAP'] < found['coco/boundary_mAP']


def test_nothing_detected(evaluate):
    assert evaluate(['segm', 'boundary'], detections={1: [], 2: []}) == {}


def test_scores_of_masks(tmp_path):
    """Some heads rate masks by themselves: here the worst one best."""
    metric = BoundaryCocoMetric(write(tmp_path / 'a.json', OBJECTS), metric=['boundary'])
    metric.dataset_meta = dict(classes=('digit', ))
    for each in samples(DETECTIONS):
        scores = each['pred_instances']['scores']
        each['pred_instances']['mask_scores'] = 1 - scores
        metric.process({}, [each])
    precision = np.where(np.linspace(0, 1, 101) <= 2 / 3, 2 / 3, 0)  # the first one is false
    assert metric.evaluate(2)['coco/boundary_mAP_50'] == pytest.approx(precision.mean(), abs=6e-4)


def test_metric_items(evaluate):
    metrics = evaluate('boundary', metric_items=['mAP_50', 'AR@100'], width=1)
    assert set(metrics) == {'coco/boundary_mAP_50'}


def test_detector_without_masks(tmp_path):
    metric = BoundaryCocoMetric(write(tmp_path / 'a.json', OBJECTS), metric=['bbox', 'boundary'])
    metric.dataset_meta = dict(classes=('digit', ))
    for each in samples(DETECTIONS):
        del each['pred_instances']['masks']
        metric.process({}, [each])
    with pytest.raises(ValueError, match="metric='boundary' needs masks, and image 1 has none"):
        metric.evaluate(2)


def test_ground_truth_from_the_samples():
    """Without ann_file, as CocoMetric."""
    metric = BoundaryCocoMetric(metric=['segm', 'boundary'])
    metric.dataset_meta = dict(classes=('digit', ))
    for each in samples(DETECTIONS):
        each['instances'] = []
        for mask, _ in OBJECTS[each['img_id']]:
            x, y, w, h = mask_utils.toBbox(rle(mask)).tolist()
            each['instances'].append(dict(bbox=[x, y, x + w, y + h], bbox_label=0, ignore_flag=0,
                                          mask=rle(mask)))
        metric.process({}, [each])
    metrics = metric.evaluate(2)
    assert metrics['coco/boundary_mAP_50'] == pytest.approx(ap([2]), abs=0.0006)


@pytest.mark.parametrize('bad', [dict(ratio=0), dict(width=0)], ids=str)
def test_bad_band(bad):
    with pytest.raises(ValueError, match='must be'):
        BoundaryCocoMetric(**bad)


def test_unknown_metric_is_mmdets_error():
    with pytest.raises(KeyError, match='proposal'):
        BoundaryCocoMetric(metric=['boundary', 'contour'])
