"""Where predictions differ, by loops over pairs and windows."""
import itertools

import numpy as np
import pytest
from comparison_folder import write_folder

from mmups.analysis.disagreement import choose_scenes, largest_window
from mmups.analysis.pixels import unequal_pairs


def test_pairs_that_differ():
    draw = np.random.default_rng(0)
    maps = list(draw.integers(0, 3, (5, 4, 6)))
    truth = draw.choice([0, 255], (4, 6))
    pairs = list(itertools.combinations(maps, 2))
    expected = sum((one != other).astype(float) for one, other in pairs) / len(pairs)
    expected[truth == 255] = 0
    np.testing.assert_allclose(unequal_pairs(maps, truth), expected, atol=1e-12)
    with pytest.raises(ValueError, match='two predictions or more, got 1'):
        unequal_pairs(maps[:1], truth)


def test_the_largest_window():
    values = np.random.default_rng(1).random((9, 7))
    sums = {(top, left): values[top:top + 3, left:left + 3].sum()
            for top in range(7) for left in range(5)}
    assert largest_window(values, 3) == max(sums, key=sums.get)
    assert largest_window(np.zeros((4, 4)), 4) == (0, 0)
    corner = np.zeros((5, 8))
    corner[4, 7] = 1
    assert largest_window(corner, 2) == (3, 6)


def test_scenes_with_the_largest_disagreement(tmp_path):
    names = ['bilinear', 'dysample', 'lctc-11-3', 'fade']
    write_folder(tmp_path, names[:3])
    scenes = choose_scenes(tmp_path / 'predictions', names, count=3)
    assert scenes[0].index == 3 and len(scenes) == 3
    assert list(scenes[0].predictions) == names[:3]
    strength = [scene.disagreement[scene.inside].mean() for scene in scenes]
    assert strength == sorted(strength, reverse=True)
    assert scenes[0].truth[scenes[0].inside].shape == (16, 16)
    with np.load(tmp_path / 'predictions' / 'dysample.npz') as file:
        np.testing.assert_array_equal(scenes[0].predictions['dysample'], file['prediction_003'])


def test_no_scenes(tmp_path):
    assert choose_scenes(tmp_path / 'predictions', ['bilinear', 'dysample']) == []
    write_folder(tmp_path)
    assert choose_scenes(tmp_path / 'predictions', ['dysample', 'fade']) == []  # one has a file
    assert len(choose_scenes(tmp_path / 'predictions', ['dysample', 'bilinear'], count=9)) == 6
    with np.load(tmp_path / 'predictions' / 'dysample.npz') as file:
        np.savez(tmp_path / 'predictions' / 'bilinear.npz', **file)
    assert choose_scenes(tmp_path / 'predictions', ['dysample', 'bilinear']) == []  # all agree
