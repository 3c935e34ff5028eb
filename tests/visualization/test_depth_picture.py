"""The sheet of depth maps shows what it is given."""
import numpy as np
import pytest
from matplotlib import colormaps

from mmups.visualization import draw_depth_sheet
from mmups.visualization.depth import DEPTHS, ERRORS, LIMIT


def scene(truth, prediction):
    image = np.full((*truth.shape, 3), 77, np.uint8)
    return image, truth, prediction


def test_sheet(drawn, tmp_path):
    """Pictures in their places, in the colours of the two scales; unknown is grey."""
    truth = np.array([[1., 4.], [0., np.nan]])
    prediction = np.array([[1.25, 1.], [3., 3.]])
    far = np.full((2, 2), 16.)
    scenes = [scene(truth, prediction)] * 2 + [scene(far, far)]
    path = draw_depth_sheet(scenes, tmp_path / 'a/b.png')
    assert path.read_bytes().startswith(b'\x89PNG')
    axes = [axis for axis in drawn[0].axes if axis.images]
    assert len(axes) == 12
    shown = [np.asarray(axis.images[0].get_array()) for axis in axes]
    assert (shown[0] == 77).all() and shown[0].shape == (2, 2, 3)
    depths, errors = colormaps[DEPTHS], colormaps[ERRORS]
    for picture, values in ((shown[1], truth), (shown[2], prediction)):
        for place in ((0, 0), (0, 1)):  # 1 to 16 m, logarithmic
            expected = depths(np.log(values[place]) / np.log(16))
            np.testing.assert_allclose(picture[place], expected, atol=0.01)
    np.testing.assert_allclose(shown[3][0, 0], errors(0.5 + 25 / (2 * LIMIT)), atol=0.01)
    np.testing.assert_allclose(shown[3][0, 1], errors(0.), atol=0.01)  # -75 %, below the scale
    for picture in (shown[1], shown[3]):
        np.testing.assert_allclose(picture[1], [[0.75, 0.75, 0.75, 1]] * 2, atol=0.01)
    notes = [text.get_text() for axis in axes for text in axis.texts]
    assert notes == ['0.500', '0.500', '0.000']  # (25 % + 75 %) / 2


def test_nothing_known(tmp_path):
    blank = scene(np.zeros((2, 2)), np.ones((2, 2)))
    for scenes in ([], [blank]):
        with pytest.raises(ValueError, match=f'got {len(scenes)} scenes without'):
            draw_depth_sheet(scenes, tmp_path / 'a.png')
