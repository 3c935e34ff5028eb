"""Pairs of views made from photographs, with disparity and occlusion that are exact.

A scene is a background and some pieces in front of it. Each is a surface of smooth disparity (a
plane and slow noise) that carries a piece of a photograph. The right view is a collage of these
photographs, pixel by pixel: of the surfaces that reach a pixel, the nearest is seen (a z-buffer).
The left view is the same surfaces seen from the left: a pixel at column x of a surface of
disparity d shows its photograph at column x - d, by linear interpolation. So the right view,
interpolated at x - d, is the left view exactly, wherever both see the same surface; everywhere else
the pixel is occluded, and shows what belongs there, the photograph that its surface carries.

Where the pixels come from (nothing is downloaded: both packages carry them):

* scikit-image: ``astronaut`` (NASA, public domain), ``chelsea`` (Stefan van der Walt, CC0),
  ``coffee`` (Rachel Michetti, CC0), ``rocket`` (SpaceX, public domain); ``brick`` (CC0Textures,
  "Bricks25"), ``gravel`` (CC0Textures, "Gravel04"), ``grass`` (linolafett, "Grass-01"), all CC0.
* scikit-learn: ``china.jpg`` (danielbuechele, CC BY 2.0), ``flower.jpg`` (vultilion, CC BY 2.0).

Of each picture the left 70 % of the columns are for training, the right 30 % for validation.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

SPLITS = ('train', 'val')
TRAIN_SHARE = 0.7
SCIKIT_IMAGE = ('astronaut', 'chelsea', 'coffee', 'rocket', 'brick', 'gravel', 'grass')


@dataclass(frozen=True)
class Layer:
    """One surface of a scene whose views have W columns, for disparities of at most R.

    Attributes:
        texture: (H, R + W, 3) float32, what the right view shows of it at the columns -R to W - 1.
        disparity: (H, W + R) float32, 0 to R, at the columns 0 to W + R - 1 of the left view.
        mask: (H, W + R) bool, where it is, at the same columns.
    """
    texture: np.ndarray
    disparity: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two views of H x W pixels.

    Attributes:
        left: (H, W, 3) float32, RGB, 0 to 255.
        right: Likewise.
        disparity: (H, W) float32, of the left view, in pixels.
        occluded: (H, W) bool, pixels of the left view that lie outside of the right one, or where
            not both of the right pixels that they lie between show their surface.
    """
    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    occluded: np.ndarray


@cache
def load_photos(split: str) -> tuple:
    """The pictures of one split, each (H, W, 3) uint8, RGB.

    Raises:
        ValueError: ``split`` is neither 'train' nor 'val'.
        ImportError: scikit-image or scikit-learn is not installed.
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got split={split!r}')
    try:
        from skimage import data
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError('the views are made from pictures in scikit-image and scikit-learn: '
                          'pip install "mmups[demo]"') from error
    pictures = [getattr(data, name)() for name in SCIKIT_IMAGE] + load_sample_images().images
    photos = []
    for picture in pictures:
        border = round(picture.shape[1] * TRAIN_SHARE)
        part = picture[:, :border] if split == 'train' else picture[:, border:]
        photos.append(part if part.ndim == 3 else np.repeat(part[..., None], 3, 2))
    return tuple(photos)


def render(layers: Sequence[Layer], reach: int) -> Pair:
    """Both views of a scene.

    Args:
        layers: The first one covers everything.
        reach: R, the greatest disparity that a layer may have, an integer.

    Raises:
        ValueError: A disparity is outside of 0 to R, or a surface folds in the right view.
    """
    height, wide = layers[0].disparity.shape
    width = wide - reach
    columns = np.arange(wide)
    for layer in layers:
        low, high = layer.disparity.min(), layer.disparity.max()
        if not 0 <= low <= high <= reach:
            raise ValueError(f'disparities must be within 0 and {reach}, got {low} to {high}')
        if (np.diff(columns - layer.disparity) <= 0).any():
            raise ValueError('the disparity of a layer grows by a pixel a column or more: in the '
                             'right view it would fold')
    depths = np.stack([np.where(layer.mask, layer.disparity, -1) for layer in layers])[..., :width]
    seen_left, disparity = depths.argmax(0), depths.max(0)
    seen_right = np.stack([_depth_from_right(layer, width) for layer in layers]).argmax(0)

    rows = np.arange(height)[:, None]
    textures = np.stack([layer.texture for layer in layers])
    right = textures[seen_right, rows, columns[:width] + reach]
    there = columns[:width] - disparity.astype(np.float64)
    before, after = np.floor(there).astype(int), np.ceil(there).astype(int)
    share = (there - before)[..., None]
    left = ((1 - share) * textures[seen_left, rows, before + reach]
            + share * textures[seen_left, rows, after + reach])
    occluded = there < 0
    for column in (before, after):
        occluded |= seen_right[rows, column.clip(0)] != seen_left
    return Pair(left.astype(np.float32), right, disparity.astype(np.float32), occluded)


def _depth_from_right(layer: Layer, width: int) -> np.ndarray:
    """Disparity of a layer at the pixels of the right view (H, W); -1 where it is not."""
    columns = np.arange(layer.disparity.shape[1])
    pixels = np.arange(width)
    # Which column of the left view arrives at a pixel; the map to the right is increasing.
    left = np.stack([np.interp(pixels, columns - row, columns) for row in layer.disparity])
    there = np.take_along_axis(layer.mask, np.rint(left).astype(int), 1)
    return np.where(there, left - pixels, -1)


def random_layers(photos: Sequence[np.ndarray], rng: np.random.Generator, size: tuple[int, int],
                  reach: int) -> list[Layer]:
    """A random scene for :func:`render`.

    Args:
        photos: Each (H, W, 3) uint8.
        rng: Decides everything else.
        size: Height and width of the views.
        reach: As there.
    """
    wide = (size[0], size[1] + reach)
    base = rng.uniform(0.03, 0.4) * reach
    layers = [Layer(_texture(photos, rng, wide), _surface(rng, wide, base, reach),
                    np.ones(wide, bool))]
    for _ in range(rng.integers(4, 12)):
        base_in_front = rng.uniform(base, 0.95 * reach)
        layers.append(Layer(_texture(photos, rng, wide), _surface(rng, wide, base_in_front, reach),
                            _outline(rng, wide)))
    return layers


def expose(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera makes of a view (H, W, 3): another brightness, noise, 8 bits."""
    noise = rng.normal(0, rng.uniform(0, 3), view.shape)
    return (view * rng.uniform(0.93, 1.07) + noise).clip(0, 255).round().astype(np.uint8)


def _surface(rng: np.random.Generator, size: tuple[int, int], base: float, reach: int
             ) -> np.ndarray:
    """Smooth disparity (H, W) float32 around ``base``: far from rising by a pixel a column."""
    rows, columns = (np.linspace(-n / 2, n / 2, n, dtype=np.float32) for n in size)
    plane = base + rng.uniform(-0.12, 0.12) * rows[:, None] + rng.uniform(-0.05, 0.05) * columns
    bumps = rng.uniform(0, 2) * rng.normal(size=(4, 4)).clip(-2, 2).astype(np.float32)
    bumps = cv2.resize(bumps, size[::-1], interpolation=cv2.INTER_CUBIC)
    return (plane + bumps).astype(np.float32).clip(0, reach)


def _outline(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A polygon (H, W) bool, from a sliver to a piece as large as the view."""
    corners = rng.integers(3, 9)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = np.exp(rng.uniform(np.log(10), np.log(110))) * rng.uniform(0.5, 1, corners)
    points = np.stack([np.cos(angles), rng.uniform(0.1, 1) * np.sin(angles)]) * radius
    turn = rng.uniform(0, np.pi)
    c, s = np.cos(turn), np.sin(turn)
    points = (np.array([[c, -s], [s, c]]) @ points).T + rng.uniform(0, 1, 2) * size[::-1]
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return mask.astype(bool)


def _texture(photos: Sequence[np.ndarray], rng: np.random.Generator, size: tuple[int, int]
             ) -> np.ndarray:
    """A turned, scaled and lit piece (H, W, 3) float32 of a photograph, mirrored at its borders."""
    photo = photos[rng.integers(len(photos))]
    zoom, turn = np.exp(rng.uniform(np.log(0.6), np.log(1.6))), rng.uniform(-0.3, 0.3)
    c, s = np.cos(turn) / zoom, np.sin(turn) / zoom
    matrix = np.array([[c, -s], [s, c]]) * rng.choice((-1, 1), 2)[:, None]
    centre = rng.uniform(0.2, 0.8, 2) * photo.shape[1::-1]
    matrix = np.column_stack([matrix, centre - matrix @ (np.array(size[::-1]) / 2)])
    piece = cv2.warpAffine(photo, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT_101,
                           flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    light = rng.uniform(0.6, 1.2) * rng.uniform(0.9, 1.1, 3)
    return (piece * light).clip(0, 255).astype(np.float32)
