"""mmups.LoadPanopticAnnotations against a naive decoding of the PNG."""
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

if not find_spec('mmdet'):
    pytest.skip('extends mmdet', allow_module_level=True)

from mmdet.registry import TRANSFORMS

SEGMENTS = [dict(id=5, category=2, is_thing=False),
            dict(id=300, category=0, is_thing=True),
            dict(id=65536, category=1, is_thing=True),
            dict(id=2**24 - 1, category=0, is_thing=False)]  # a crowd of things


@pytest.fixture
def scene(tmp_path):
    """What mmdet's CocoPanopticDataset hands to the pipeline, and the ids (H, W)."""
    ids = np.random.default_rng(0).choice([0] + [s['id'] for s in SEGMENTS], size=(12, 17))
    bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'ids.png'), bgr)
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros_like(bgr))
    instances = [dict(bbox=[0, 0, 17, 12], bbox_label=s['category'], ignore_flag=0)
                 for s in SEGMENTS if s['is_thing']]
    return dict(img_path=str(tmp_path / 'image.png'), img_id=1, height=12, width=17,
                seg_map_path=str(tmp_path / 'ids.png'), instances=instances,
                segments_info=SEGMENTS), ids


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def run(pipeline, data):
    for config in pipeline:
        data = TRANSFORMS.build(config)(data)
    return data


LOAD = [dict(type='LoadImageFromFile'), dict(type='mmups.LoadPanopticAnnotations')]


def test_equals_naive_decoding(scene):
    data, ids = scene
    data = run(LOAD, data)
    categories = {0: 255, **{s['id']: s['category'] for s in SEGMENTS}}
    expected = [[categories[i] for i in row] for row in ids.tolist()]
    np.testing.assert_array_equal(data['gt_seg_map'], expected)
    np.testing.assert_array_equal(data['gt_masks'].masks, [ids == 300, ids == 65536])
    assert data['gt_bboxes_labels'].tolist() == [0, 1]
    assert data['gt_bboxes'].tensor.tolist() == [[0, 0, 17, 12]] * 2


def test_training_pipeline(scene):
    """The semantic map has a type that every later transform can handle."""
    data, ids = scene
    data = run(LOAD + [
        dict(type='Resize', scale=(34, 24), keep_ratio=True), dict(type='RandomFlip', prob=1.0),
        dict(type='PackDetInputs')], data)
    semantic = data['data_samples'].gt_sem_seg.sem_seg
    assert semantic.shape == (1, 24, 34)
    background = (ids == 0)[:, ::-1].repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(semantic[0] == 255, background)
    assert data['data_samples'].gt_instances.masks.masks.shape == (2, 24, 34)


def test_options(scene):
    data, _ = scene
    data = run([LOAD[0], dict(LOAD[1], with_bbox=False, with_label=False, with_mask=False)], data)
    assert 'gt_seg_map' in data
    assert not {'gt_bboxes', 'gt_bboxes_labels', 'gt_masks'} & set(data)


def test_image_without_annotation(scene):
    data = run(LOAD, dict(scene[0], seg_map_path=None, instances=[]))
    assert 'gt_seg_map' not in data


def test_unknown_argument_raises():
    with pytest.raises(TypeError, match='with_boxes'):
        TRANSFORMS.build(dict(LOAD[1], with_boxes=True))
