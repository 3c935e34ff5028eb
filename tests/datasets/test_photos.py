"""PhotoNoise and PhotoBlur: their pixels, and what is on disk."""
import hashlib
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('skimage')
pytest.importorskip('sklearn')

from mmups.datasets.photo_files import write_photos  # noqa: E402
from mmups.datasets.photos import (  # noqa: E402
    FRAMES,
    REACH,
    SIZE,
    blur_pair,
    camera_path,
    load_photos,
    noise_pair,
)

ROOT = Path(__file__).parents[2]


def read(path):
    return cv2.imread(str(path))[..., ::-1]


def digests(folder):
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
            for path in folder.rglob('*') if path.is_file()}


def mse(a, b):
    return ((a.astype(float) - b.astype(float))**2).mean()


def test_splits_share_no_pixel():
    """Left and right of a column, which are neighbours in the photograph."""
    from skimage import data
    train, test = load_photos('train')[0], load_photos('test')[0]
    np.testing.assert_array_equal(np.concatenate([train, test], axis=1), data.astronaut())
    assert (len(load_photos('train')), len(load_photos('test'))) == (6, 5)
    assert all(min(photo.shape[:2]) >= SIZE and photo.shape[2] == 3 and photo.dtype == np.uint8
               for split in ('train', 'test') for photo in load_photos(split))
    with pytest.raises(ValueError, match="split='val'"):
        load_photos('val')


def test_noise():
    """Of 25 levels on mid grey; clipped, not wrapped around, at black and white."""
    photo = np.full((140, 140, 3), 128, np.uint8)
    noisy, truth = noise_pair(photo, np.random.default_rng(0))
    assert noisy.shape == truth.shape == (SIZE, SIZE, 3) and noisy.dtype == np.uint8
    difference = noisy.astype(float) - truth
    assert difference.std() == pytest.approx(25, rel=0.02) and abs(difference.mean()) < 0.5
    assert np.corrcoef(difference[..., 0].ravel(), difference[..., 1].ravel())[0, 1] < 0.05
    black, _ = noise_pair(np.zeros_like(photo), np.random.default_rng(0))
    assert (black == 0).mean() == pytest.approx(0.5, abs=0.02) and black.max() < 150


def test_blur_keeps_light_not_levels():
    """Stripes of black and white become the level of half the light, 255 * 0.5 ** (1 / 2.2) = 186,
    and not 128; the truth is the photograph itself, in its place."""
    photo = np.zeros((140, 150, 3), np.uint8)
    photo[:, ::2] = 255
    photo[::2] = 255 - photo[::2]
    blurred, truth = blur_pair(photo, np.random.default_rng(0))
    assert set(np.unique(truth)) == {0, 255}
    assert np.median(blurred) == pytest.approx(186, abs=8)


def test_blur_moves_nothing():
    """The middle frame is the truth: blur goes to both sides of it."""
    photos = load_photos('train')
    pairs = [blur_pair(photo, np.random.default_rng(k)) for k, photo in enumerate(photos * 2)]
    centred = np.mean([mse(*pair) for pair in pairs])
    for dy, dx in ((0, 4), (0, -4), (4, 0), (-4, 0)):
        moved = np.mean([mse(np.roll(blurred, (dy, dx), (0, 1)), truth)
                         for blurred, truth in pairs])
        assert centred < moved


def test_camera_path():
    for seed in range(20):
        path = camera_path(np.random.default_rng(seed))
        assert path.shape == (FRAMES, 3) and (path[FRAMES // 2] == 0).all()
        extent = max(np.linalg.norm(a[:2] - b[:2]) for a in path for b in path)
        assert REACH / 2 <= extent <= REACH
        assert np.abs(np.diff(path, 2, axis=0)).max() < REACH  # no jumps


@pytest.mark.parametrize('task, folder', [('noise', 'noisy'), ('blur', 'blur')])
def test_files(task, folder, tmp_path):
    """What a pair is depends on its number and the seed, not on the counts; the same again is left
    alone, and another data set refused."""
    assert write_photos(task, tmp_path / 'a', train=7, test=2)
    assert write_photos(task, tmp_path / 'b', train=2, test=3)
    assert write_photos(task, tmp_path / 'c', train=2, test=2, seed=1)
    a, b, c = (digests(tmp_path / name) for name in 'abc')
    assert {'/'.join(name.split('/')[:2]) for name in a} == {
        'manifest.json', f'train/{folder}', 'train/sharp', f'test/{folder}', 'test/sharp'}
    assert len(a) == 2 * 9 + 1
    both = (a.keys() & b.keys()) - {'manifest.json'}
    assert len(both) == 8 and all(a[name] == b[name] for name in both)
    assert all(a[name] != c[name] for name in both)
    assert len(set(a.values())) == len(a)
    degraded, truth = (read(tmp_path / f'a/test/{name}/000000.png') for name in (folder, 'sharp'))
    assert truth.shape == (SIZE, SIZE, 3) and 20 < mse(degraded, truth) < 700
    assert not write_photos(task, tmp_path / 'a', train=7, test=2)
    with pytest.raises(FileExistsError, match='"train": 7.*"train": 8'):
        write_photos(task, tmp_path / 'a', train=8, test=2)
    assert digests(tmp_path / 'a') == a


@pytest.mark.parametrize('settings, message', [
    (dict(task='rain'), "task='rain'"), (dict(train=0), 'train=0'), (dict(test=1.5), 'test=1.5'),
    (dict(seed=-1), 'seed=-1')])
def test_wrong_settings(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_photos(**{'task': 'noise', 'out': tmp_path / 'out', **settings})
    assert list(tmp_path.iterdir()) == []


def test_missing_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    load_photos.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "mmups\[demo\]"'):
        write_photos('noise', tmp_path / 'out')
    assert list(tmp_path.iterdir()) == []


def test_command_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def tool(*args):
        monkeypatch.setattr(sys, 'argv', ['photos.py', *args])
        runpy.run_path(str(ROOT / 'tools/dataset_converters/photos.py'), run_name='__main__')
        return capsys.readouterr().out

    small = ('--train', '1', '--test', '1')
    assert 'data/out written: {"name": "PhotoBlur"' in tool('blur', 'data/out', *small)
    assert 'nothing to do' in tool('blur', 'data/out', *small)
    with pytest.raises(SystemExit, match='"PhotoBlur".*"PhotoNoise"'):
        tool('noise', 'data/out', *small)
