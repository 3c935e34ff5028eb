"""The transforms of the NYU recipe, alone and in its pipeline; DigitScenes as depth."""
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS

from mmups.datasets.depth_transforms import ColorAug, FixedCrop


def results(shape=(6, 8), seed=0):
    rng = np.random.default_rng(seed)
    return dict(img=rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
                gt_depth_map=rng.uniform(1, 9, shape).astype(np.float32),
                seg_fields=['gt_depth_map'], img_shape=shape)


def test_crop():
    before = results()
    after = TRANSFORMS.build(dict(type='mmups.FixedCrop', top=1, bottom=5, left=2, right=8))(before)
    assert after['img_shape'] == (4, 6) == after['img'].shape[:2]
    for y in range(4):
        for x in range(6):
            assert (after['img'][y, x] == before['img'][y + 1, x + 2]).all()
            assert after['gt_depth_map'][y, x] == before['gt_depth_map'][y + 1, x + 2]
    with pytest.raises(ValueError, match='rows 1 to 7 .* 6 x 8 pixels'):
        FixedCrop(1, 7, 0, 8)(before)
    with pytest.raises(ValueError, match='top=3, bottom=3'):
        FixedCrop(3, 3, 0, 8)


def test_colours_pixel_by_pixel(monkeypatch):
    """With known numbers in the place of random ones: gamma 2, brightness 0.5, three colours."""
    numbers = iter([2., 0.5, np.array([1., 2., 4.])])
    monkeypatch.setattr(np.random, 'uniform', lambda *args: next(numbers))
    before = results()
    after = ColorAug(prob=1)(before)
    for y in range(6):
        for x in range(8):
            for c, colour in enumerate((1, 2, 4)):
                value = (before['img'][y, x, c] / 255)**2 * 0.5 * colour
                assert after['img'][y, x, c] == round(min(value, 1) * 255)
    assert after['img'].dtype == np.uint8 and after['gt_depth_map'] is before['gt_depth_map']


def test_colours_are_random_within_their_ranges():
    np.random.seed(0)
    grey = dict(img=np.full((2, 2, 3), 128, np.uint8))
    changed = [ColorAug(prob=0.5)(grey)['img'] for _ in range(400)]
    share = np.mean([(image != 128).any() for image in changed])
    assert 0.4 < share < 0.6
    factors = np.array([image[0, 0] for image in changed]) / 128
    least, most = (128 / 255)**0.1 * 0.75 * 0.9, (128 / 255)**-0.1 * 1.25 * 1.1
    assert least - 0.01 <= factors.min() < 0.8 and 1.2 < factors.max() <= most + 0.01
    assert (factors.max(1) - factors.min(1)).max() > 0.05  # each channel for itself


@pytest.mark.parametrize('kwargs, message', [
    (dict(prob=1.5), 'prob=1.5'), (dict(gamma_range=(0, 1)), r'gamma_range=\(0, 1\)'),
    (dict(color_range=(1.1, 0.9)), r'color_range=\(1.1, 0.9\)')])
def test_mistakes(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ColorAug(**kwargs)


def test_images_of_another_form():
    with pytest.raises(ValueError, match=r'\(6, 8, 3\) float64'):
        ColorAug()(dict(img=results()['img'] / 255))


def written(folder, size, count=2, value=5000):
    """Pictures and depths in millimetres, as NYU's and DigitScenes' are laid out."""
    import cv2
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        array = np.full(size, value, np.uint16) if len(size) == 2 else np.full(size, 99, np.uint8)
        cv2.imwrite(str(folder / f'{index:06d}.png'), array)


def test_recipe_of_nyu(tmp_path):
    """Its training pipeline: whatever is rotated in has no depth, and the size is the paper's."""
    pytest.importorskip('mmseg')
    from mmseg.utils import register_all_modules
    register_all_modules()
    cfg = Config.fromfile('configs/_base_/datasets/nyu_416x544.py').train_dataloader.dataset
    written(tmp_path / 'images/train', (480, 640, 3))
    written(tmp_path / 'annotations/train', (480, 640))
    cfg.pipeline[3].update(prob=1., degree=(2.4, 2.5))
    dataset = DATASETS.build(dict(cfg, data_root=str(tmp_path), img_suffix='.png',
                                  _scope_='mmseg'))
    depths = []
    for _ in range(4):
        item = dataset[1]
        assert item['inputs'].shape == (3, 416, 544)
        depths.append(item['data_samples'].gt_depth_map.data)
        assert depths[-1].shape == (1, 416, 544)
    assert {round(float(value), 3) for depth in depths for value in depth.unique()} == {0, 5}


def test_digit_scenes(tmp_path):
    """Depths in metres beside their picture; a folder that is none says how to make one."""
    pytest.importorskip('mmseg')
    cfg = dict(type='mmups.DigitScenesDepthDataset', data_root=str(tmp_path), _scope_='mmseg',
               data_prefix=dict(img_path='images/val', depth_map_path='depth/val'), pipeline=[
                   dict(type='LoadImageFromFile'),
                   dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3),
                   dict(type='PackSegInputs')])
    with pytest.raises(FileNotFoundError, match='Make them with: python tools/dataset_converters'):
        DATASETS.build(cfg)
    (tmp_path / 'manifest.json').write_text('{"classes": 5}')
    written(tmp_path / 'images/val', (64, 64, 3))
    written(tmp_path / 'depth/val', (64, 64), value=1234)
    dataset = DATASETS.build(cfg)
    assert len(dataset) == 2
    depth = dataset[0]['data_samples'].gt_depth_map.data
    assert depth.shape == (1, 64, 64) and depth.unique().tolist() == pytest.approx([1.234])
    (tmp_path / 'depth/val/000001.png').unlink()
    with pytest.raises(ValueError, match='cannot load sample 1 from .*000001.png'):
        dataset[1]
