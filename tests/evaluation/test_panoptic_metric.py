"""mmups.PanopticMetric on two tiny images."""
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, PixelData

from mmups.evaluation import (
    BoundaryPanopticMetric,
    PanopticMetric,
    match_segments,
    mean_quality,
)

# Category ids are neither contiguous nor sorted; labels count them in the order of the json.
CATEGORIES = [dict(id=7, name='digit', isthing=1), dict(id=3, name='grass', isthing=0),
              dict(id=90, name='brick', isthing=0)]
META = dict(classes=('digit', 'grass', 'brick'))
DIGIT, GRASS, VOID = 0, 1, 3
# id 300 needs two channels; 7 is a crowd of digits
TRUTHS = {
    'a': ([[300, 300, 300, 2, 2, 0]], {300: 7, 2: 3}),
    'b': ([[2, 2, 2, 2, 7, 7]], {2: 3, 7: 7}),
}
# digit: IoU 3/3 (the void pixel is out of the union); grass: 2/2; then grass: 4/5, digit excused
PREDICTIONS = {
    'a': [[DIGIT + 1000, DIGIT + 1000, DIGIT + 1000, GRASS, GRASS, DIGIT + 1000]],
    'b': [[GRASS, GRASS, GRASS, GRASS, GRASS, DIGIT + 2000]],
}


@pytest.fixture
def config(tmp_path):
    annotations = []
    for name, (ids, categories) in TRUTHS.items():
        ids = np.array(ids)
        bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f'{name}.png'), bgr)
        annotations.append(dict(image_id=name, file_name=f'{name}.png', segments_info=[
            dict(id=i, category_id=c, iscrowd=int(i == 7)) for i, c in categories.items()]))
    (tmp_path / 'panoptic.json').write_text(json.dumps(dict(
        images=[dict(id=name, file_name=f'{name}.jpg') for name in TRUTHS],
        annotations=annotations, categories=CATEGORIES)))
    return dict(type='mmups.PanopticMetric', ann_file=str(tmp_path / 'panoptic.json'),
                seg_prefix=str(tmp_path))


@pytest.fixture
def build(config):
    def make(**kwargs):
        kwargs = {**config, **kwargs}
        del kwargs['type']
        metric = PanopticMetric(**kwargs)
        metric.dataset_meta = META
        return metric
    return make


@pytest.fixture
def logged(monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'info', lines.append)
    monkeypatch.setattr(logger, 'warning', lines.append)
    return lines


def sample(name, codes=None):
    codes = torch.tensor(PREDICTIONS[name] if codes is None else codes, dtype=torch.int32)
    return dict(img_id=name, pred_panoptic_seg=dict(sem_seg=codes[None]))


def test_by_hand(build):
    metric = build()
    metric.process({}, [sample('a')])
    metric.process({}, [sample('b')])
    grass = 100 * (1 + 4 / 5) / 2
    assert metric.evaluate(2) == pytest.approx({
        'coco_panoptic/PQ': (100 + grass) / 2, 'coco_panoptic/SQ': (100 + grass) / 2,
        'coco_panoptic/RQ': 100, 'coco_panoptic/PQ_th': 100, 'coco_panoptic/SQ_th': 100,
        'coco_panoptic/RQ_th': 100, 'coco_panoptic/PQ_st': grass, 'coco_panoptic/SQ_st': grass,
        'coco_panoptic/RQ_st': 100})


@pytest.mark.parametrize('scope', ['mmengine', 'mmdet', 'mmseg'])
def test_from_config_in_any_scope(config, scope):
    with DefaultScope.overwrite_default_scope(scope):
        evaluator = Evaluator(config)
    evaluator.dataset_meta = META
    data = BaseDataElement(metainfo=dict(img_id='a'))
    data.pred_panoptic_seg = PixelData(sem_seg=torch.tensor([PREDICTIONS['a']]))
    evaluator.process([data])
    assert evaluator.evaluate(1)['coco_panoptic/PQ'] == pytest.approx(100)


def test_padded_samples_are_dropped(build):
    """A distributed sampler repeats samples to fill the last batch."""
    metric = build()
    metric.process({}, [sample('a'), sample('b'), sample('a', [[VOID] * 6])])
    assert metric.evaluate(2)['coco_panoptic/RQ'] == pytest.approx(100)


@pytest.mark.parametrize('void', [VOID, VOID + 1000, 255])
def test_void(build, void):
    prediction = sample('a', [[void] * 3 + [GRASS] * 3])
    prediction['pred_panoptic_seg']['ignore_index'] = 255
    before = prediction['pred_panoptic_seg']['sem_seg'].clone()
    metric = build()
    metric.process({}, [prediction])
    assert metric.results[0].tolist() == [[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert torch.equal(prediction['pred_panoptic_seg']['sem_seg'], before)


def test_label_0_without_instance_is_no_void(build):
    metric = build()
    metric.process({}, [sample('a', [[DIGIT] * 3 + [GRASS] * 3])])
    assert metric.results[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_labels_count_the_classes_in_use(build):
    """As in mmdet's data set: the order is the json's, whatever the order of the classes."""
    metric = build()
    metric.dataset_meta = dict(classes=('brick', 'grass'))
    metric.process({}, [sample('a', [[2, 2, 2, 0, 0, 0]])])  # grass, and 2 is void
    assert metric.results[0].tolist() == [[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_group_that_does_not_occur_is_nan(build, config, tmp_path):
    content = json.loads((tmp_path / 'panoptic.json').read_text())
    content['categories'] = [dict(category, isthing=1) for category in CATEGORIES]
    (tmp_path / 'panoptic.json').write_text(json.dumps(content))
    metric = build()
    metric.process({}, [sample('a')])
    result = metric.evaluate(1)
    assert result['coco_panoptic/PQ'] == result['coco_panoptic/PQ_th'] == pytest.approx(100)
    assert np.isnan(result['coco_panoptic/PQ_st'])


@pytest.mark.parametrize('classwise', [False, True])
def test_table(build, logged, classwise):
    metric = build(classwise=classwise)
    metric.process({}, [sample('a'), sample('b')])
    metric.evaluate(2)
    assert len(logged) == 1
    rows = [line.split() for line in logged[0].splitlines()[1:]]
    expected = [['PQ', 'SQ', 'RQ'], ['All', '(2)', '95.00', '95.00', '100.00'],
                ['Things', '(1)', '100.00', '100.00', '100.00'],
                ['Stuff', '(1)', '90.00', '90.00', '100.00']]
    classes = [['digit', '100.00', '100.00', '100.00'], ['grass', '90.00', '90.00', '100.00'],
               ['brick', 'nan', 'nan', 'nan']]
    assert rows == expected + classes * classwise


def test_part_of_the_images_is_announced(build, logged):
    metric = build()
    metric.process({}, [sample('a')])
    metric.evaluate(1)
    assert 'over 1 of 2 images' in logged[0]


def test_boundary(config, logged):
    """The plain numbers, and those whose bands of 1 pixel are all of these segments."""
    evaluator = Evaluator(dict(config, type='mmups.BoundaryPanopticMetric', width=1))
    evaluator.dataset_meta = META
    plain = PanopticMetric(**{key: value for key, value in config.items() if key != 'type'})
    plain.dataset_meta = META
    for name in TRUTHS:
        evaluator.process([BaseDataElement(metainfo=dict(img_id=name), **{
            'pred_panoptic_seg': PixelData(sem_seg=torch.tensor([PREDICTIONS[name]]))})])
        plain.process({}, [sample(name)])
    expected = plain.evaluate(2)
    metrics = evaluator.evaluate(2)
    assert {key: value for key, value in metrics.items() if 'boundary' not in key} == expected
    assert {key.replace('boundary_', ''): value for key, value in metrics.items()
            if 'boundary' in key} == pytest.approx(expected)
    assert logged[1].splitlines()[0] == 'Panoptic quality (number of categories)'
    assert logged[2].splitlines()[0] == 'Boundary panoptic quality (number of categories)'


def test_boundary_is_match_segments(config, tmp_path):
    """On a picture with an inside, with the width as a share of the diagonal."""
    ids = np.full((24, 32), 2)
    ids[6:18, 6:18] = 300
    cv2.imwrite(str(tmp_path / 'a.png'),
                np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8))
    codes = np.roll(np.where(ids == 300, DIGIT + 1000, GRASS), 1, axis=1)
    metric = BoundaryPanopticMetric(config['ann_file'], config['seg_prefix'], ratio=0.05)
    metric.dataset_meta = META
    metric.process({}, [sample('a', codes.tolist())])
    results = metric.evaluate(1)
    categories = {300: 0, 2: 1}
    sums = match_segments(np.roll(ids, 1, axis=1), categories, ids, categories, num_categories=3,
                          boundary_width=2)  # 0.05 * 40
    assert results['coco_panoptic/boundary_PQ'] == pytest.approx(100 * mean_quality(sums).pq)
    assert results['coco_panoptic/boundary_PQ'] < results['coco_panoptic/PQ']


@pytest.mark.parametrize('bad', [dict(ratio=0), dict(width=0)], ids=str)
def test_bad_band(config, bad):
    with pytest.raises(ValueError, match='must be'):
        BoundaryPanopticMetric(config['ann_file'], config['seg_prefix'], **bad)


def test_missing_prediction(build):
    message = r"image 'a': .* no pred_panoptic_seg; its keys are \['img_id'\]"
    with pytest.raises(ValueError, match=message):
        build().process({}, [dict(img_id='a')])


def test_unknown_image(build):
    with pytest.raises(ValueError, match=r"panoptic\.json has no annotation for image 'z'"):
        build().process({}, [dict(sample('a'), img_id='z')])


@pytest.mark.parametrize('content', [b'', b'no png'], ids=['empty', 'text'])
def test_unreadable_png(build, tmp_path, content):
    (tmp_path / 'b.png').write_bytes(content)
    with pytest.raises(ValueError, match=r"image 'b': .*b\.png is not an image"):
        build().process({}, [sample('b')])


def test_missing_png(build, tmp_path):
    (tmp_path / 'b.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'b\.png'):
        build().process({}, [sample('b')])


def test_prediction_of_another_size(build):
    with pytest.raises(ValueError, match=r"image 'a': .*\(1, 2\) and ground truth \(1, 6\)"):
        build().process({}, [sample('a', [[0, 0]])])


def test_label_out_of_range(build):
    with pytest.raises(ValueError, match=r"image 'a': predicted label 9, expected 0 \.\. 2"):
        build().process({}, [sample('a', [[9] * 6])])


def test_class_that_the_json_lacks(build):
    metric = build()
    metric.dataset_meta = dict(classes=('digit', 'sky'))
    message = r"panoptic\.json has no category for the classes \['sky'\]"
    with pytest.raises(ValueError, match=message):
        metric.process({}, [sample('a')])


def test_category_that_the_json_lacks(build):
    metric = build()
    metric.categories = CATEGORIES[:1]
    metric.dataset_meta = dict(classes=('digit', ))
    with pytest.raises(ValueError, match=r'panoptic\.json has no category with id \[3\]'):
        metric.process({}, [sample('a', [[0] * 6])])


def test_imports_no_host():
    code = ('import sys; sys.modules.update(mmdet=None, mmseg=None, mmcv=None); '
            'import mmups.evaluation')
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)
