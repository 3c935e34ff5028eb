"""Pairs of images in two folders, and the steps of their pipelines."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, TRANSFORMS
from PIL import Image

PIPELINE = [dict(type='mmups.LoadImagePair'), dict(type='mmups.PackRestorationInputs')]


@pytest.fixture
def folder(tmp_path):
    """Three pairs of 20 x 30 pixels; the first is red where it is degraded, and blue in truth."""
    rng = np.random.default_rng(0)
    for name in ('blur', 'sharp'):
        (tmp_path / name).mkdir()
        for k in range(3):
            image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            if k == 0:
                image[:] = (255, 0, 0) if name == 'blur' else (0, 0, 255)
            Image.fromarray(image).save(tmp_path / name / f'{k}.png')
    (tmp_path / 'blur/notes.txt').write_text('no image')
    return tmp_path


def dataset(folder, **kwargs):
    return DATASETS.build(dict(type='mmups.PairedImageDataset', data_root=str(folder),
                               pipeline=PIPELINE, **kwargs))


def transform(name, results, **kwargs):
    return TRANSFORMS.build(dict(type=f'mmups.{name}', **kwargs))(results)


def test_samples(folder):
    """In the order of names, RGB on both sides, with the truth and both paths."""
    data = dataset(folder)
    assert len(data) == 3
    for k in range(3):
        item = data[k]
        sample = item['data_samples']
        assert sample.img_path == str(folder / f'blur/{k}.png')
        assert sample.gt_path == str(folder / f'sharp/{k}.png')
        assert sample.ori_shape == sample.img_shape == (20, 30)
        for tensor, path in ((item['inputs'], sample.img_path), (sample.gt_img, sample.gt_path)):
            assert tensor.dtype == torch.uint8
            np.testing.assert_array_equal(tensor.permute(1, 2, 0), np.array(Image.open(path)))
    assert data[0]['inputs'][:, 0, 0].tolist() == [255, 0, 0]


def test_other_folders(folder):
    (folder / 'blur').rename(folder / 'noisy')
    data = dataset(folder, data_prefix=dict(img='noisy', gt='sharp'))
    assert data[1]['data_samples'].img_path == str(folder / 'noisy/1.png')
    with pytest.raises(FileNotFoundError, match='no folder .*blur'):
        dataset(folder)
    with pytest.raises(ValueError, match="dict\\(img=FOLDER, gt=FOLDER\\), got {'lq': 'noisy'}"):
        dataset(folder, data_prefix=dict(lq='noisy'))


@pytest.mark.parametrize('lost, alone', [('sharp', 'blur'), ('blur', 'sharp')])
def test_missing_partner(folder, lost, alone):
    (folder / lost / '1.png').unlink()
    with pytest.raises(ValueError, match=f'{alone}/1.png has no partner.*no .*{lost}/1.png .1 of'):
        dataset(folder)


def test_partner_of_another_size(folder):
    Image.new('RGB', (30, 21)).save(folder / 'sharp/2.png')
    with pytest.raises(ValueError, match='blur/2.png has 30 x 20.*sharp/2.png has 30 x 21'):
        dataset(folder)
    with pytest.raises(ValueError, match=r'blur/2.png and .*sharp/2.png .*\(20, 30, 3\) and'):
        transform('LoadImagePair', {f'{key}_path': str(folder / name / '2.png')
                                    for key, name in (('img', 'blur'), ('gt', 'sharp'))})


def test_broken_images(folder):
    path = folder / 'blur/1.png'
    whole = path.read_bytes()
    path.write_bytes(b'')
    with pytest.raises(ValueError, match='blur/1.png cannot be read'):
        dataset(folder)
    path.write_bytes(whole[:60])  # the head is whole
    data = dataset(folder)
    with pytest.raises(ValueError, match='blur/1.png cannot be read'):
        data[1]


def test_no_images(tmp_path):
    for name in ('blur', 'sharp'):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match='no images in .*blur'):
        dataset(tmp_path)


def pair(height=9, width=13):
    """Two images that say at each pixel where it was, and which of the two it is."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return {key: np.stack([rows, columns, np.full_like(rows, k)], axis=-1)
            for k, key in enumerate(('img', 'gt'))}


def test_crop():
    """The same rectangle of both; every place occurs, and so do both ends."""
    np.random.seed(0)
    corners = set()
    for _ in range(300):
        out = transform('PairedRandomCrop', pair(), crop_size=(8, 11))
        assert out['img'].shape == out['gt'].shape == (8, 11, 3)
        np.testing.assert_array_equal(out['img'][..., :2], out['gt'][..., :2])
        top, left, _ = out['img'][0, 0]
        np.testing.assert_array_equal(out['img'], pair()['img'][top:top + 8, left:left + 11])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(2) for left in range(3)}
    assert transform('PairedRandomCrop', pair(), crop_size=9)['gt'].shape == (9, 9, 3)


def test_wrong_crops():
    with pytest.raises(ValueError, match='a.png has 9 rows and 13 columns.*10 x 13'):
        transform('PairedRandomCrop', dict(pair(), img_path='a.png'), crop_size=(10, 13))
    for size in (0, (4, ), (4, 4, 4), 2.5, (4, 0)):
        with pytest.raises(ValueError, match='one or two integers'):
            transform('PairedRandomCrop', pair(), crop_size=size)


def test_flip_and_transpose():
    """All eight ways to lay a square on itself, about equally often, and the same for both."""
    np.random.seed(0)
    image = pair(4, 4)['img']
    turned = [np.rot90(image, k) for k in range(4)]
    ways = turned + [one[:, ::-1] for one in turned]
    counts = np.zeros(8, int)
    for _ in range(400):
        out = transform('PairedFlipTranspose', pair(4, 4))
        np.testing.assert_array_equal(out['img'][..., :2], out['gt'][..., :2])
        counts += [np.array_equal(out['img'], way) for way in ways]
    assert counts.sum() == 400 and counts.min() > 25
    shapes = {transform('PairedFlipTranspose', pair())['gt'].shape for _ in range(50)}
    assert shapes == {(9, 13, 3), (13, 9, 3)}


def test_pipeline_of_a_config(folder):
    """A crop that was flipped and transposed is packed into memory of its own."""
    data = DATASETS.build(dict(
        type='mmups.PairedImageDataset', data_root=str(folder), pipeline=[
            PIPELINE[0], dict(type='mmups.PairedRandomCrop', crop_size=16),
            dict(type='mmups.PairedFlipTranspose'), PIPELINE[1]]))
    item = data[1]
    assert item['inputs'].shape == item['data_samples'].gt_img.shape == (3, 16, 16)
    assert item['inputs'].is_contiguous()
    assert item['data_samples'].ori_shape == (20, 30)
    assert item['data_samples'].img_shape == (16, 16)
    assert 'crop_size=(16, 16)' in repr(data.pipeline)


def test_opencv_reads_the_same(folder):
    """Grey images become three equal channels."""
    for name in ('blur', 'sharp'):
        cv2.imwrite(str(folder / name / '2.png'), np.full((20, 30), 7, np.uint8))
    assert dataset(folder)[2]['inputs'].unique().tolist() == [7]
