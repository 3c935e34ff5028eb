"""PhotoNoise and PhotoBlur: pairs of a degraded and a true image, from photographs and a seed.

PhotoNoise is for denoising: Gaussian noise with a standard deviation of 25 levels, the usual case
of that task. PhotoBlur is for deblurring, as GoPro is: a shaking camera, and the mean of what it
sees while the shutter is open, in linear light. This module makes the pixels of one pair;
``photo_files`` writes a data set of them.

Where the pixels come from (nothing is downloaded: two packages carry them):

* scikit-image: ``astronaut`` (Eileen Collins; NASA, public domain), ``chelsea`` (Stefan van der
  Walt, CC0), ``coffee`` (Rachel Michetti, CC0), ``rocket`` (a Falcon 9; SpaceX, public domain).
* scikit-learn: ``china.jpg`` (danielbuechele, flickr.com, CC BY 2.0), ``flower.jpg`` (vultilion,
  flickr.com, CC BY 2.0). Pictures made of these two name their authors where they are passed on.

Training and test share no pixel: of every photograph the left 70 % of the columns are for training,
the right 30 % for testing, where those of the flower are left out: they show nothing sharp. They
share scenes and cameras, though, and rocket, china and flower are JPEGs whose truth has blocks in
it: numbers on six photographs are for comparing runs, and say little about photographs in general.

Blur follows the description of GoPro (Nah, Kim and Lee, CVPR 2017, arXiv:1612.02177), which
averages consecutive frames of a video; no code was read. Here the frames are one photograph, moved
and turned, so that nothing in it moves by itself and no depth shows.
"""
from functools import cache

import cv2
import numpy as np

from .digit_scenes import columns

SPLITS = ('train', 'test')
SKIMAGE_PHOTOS = ('astronaut', 'chelsea', 'coffee', 'rocket')
SKLEARN_PHOTOS = ('china.jpg', 'flower.jpg')
ONLY_FOR_TRAINING = 'flower.jpg'
SIZE = 128  # height and width of a pair; the narrowest part of a photograph has 135 columns

SIGMA = 25  # of the noise, in levels of 0..255
FRAMES = 11  # of a blur
REACH = 9  # pixels, the largest extent of the camera's path
PLACES = 4  # random ones, of which a blur takes the one with the most detail, where blur shows
TURN = 0.5  # degrees, likewise
GAMMA = 2.2  # light = level ** GAMMA


@cache
def load_photos(split: str) -> tuple[np.ndarray, ...]:
    """The parts of the photographs that belong to ``split``, (H, W, 3) uint8 RGB each.

    Raises:
        ValueError: ``split`` is neither 'train' nor 'test'.
        ImportError: One of the packages is not installed.
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got split={split!r}')
    try:
        from skimage import data
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise ImportError('making PhotoNoise and PhotoBlur needs scikit-learn and scikit-image: '
                          'pip install "mmups[demo]"') from error
    photos = [getattr(data, name)() for name in SKIMAGE_PHOTOS]
    photos += [load_sample_image(name) for name in SKLEARN_PHOTOS
               if split == 'train' or name != ONLY_FOR_TRAINING]
    return tuple(photo[:, columns(photo.shape[1], split)] for photo in photos)


def _place(photo: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Top left corner (y, x) of a random square of ``SIZE`` pixels."""
    y, x = (int(rng.integers(whole - SIZE + 1)) for whole in photo.shape[:2])
    return y, x


def _detail(photo: np.ndarray, y: int, x: int) -> float:
    """Mean squared difference of neighbours in the square at (y, x)."""
    square = photo[y:y + SIZE, x:x + SIZE].astype(float)
    return sum((np.diff(square, axis=axis)**2).mean() for axis in (0, 1))


def noise_pair(photo: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A square of a photograph (H, W, 3) uint8 with noise, and without; clipped to 8 bits."""
    y, x = _place(photo, rng)
    truth = photo[y:y + SIZE, x:x + SIZE]
    return _to_8_bit(truth + rng.normal(0, SIGMA, truth.shape)), truth


def blur_pair(photo: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A square of a photograph (H, W, 3) uint8 as a shaking camera takes it, and at rest.

    The truth is the frame in the middle of the camera's path; beyond its borders a photograph is
    mirrored.
    """
    y, x = max((_place(photo, rng) for _ in range(PLACES)),
               key=lambda place: _detail(photo, *place))
    light = (photo / 255).astype(np.float32)**GAMMA
    frames = [_frame(light, y, x, *pose) for pose in camera_path(rng)]
    return (_to_8_bit(255 * np.mean(frames, axis=0)**(1 / GAMMA)),
            photo[y:y + SIZE, x:x + SIZE])


def camera_path(rng: np.random.Generator) -> np.ndarray:
    """Poses (FRAMES, 3) of a shaking camera: x and y in pixels, angle in degrees; 0 in the middle.

    A random walk whose speed changes slowly, scaled so that its extent is between a half of
    ``REACH`` and all of it, that of its angle at most ``TURN``.
    """
    speed = rng.normal(size=(FRAMES + 4, 3))
    speed = np.stack([np.convolve(part, np.ones(5) / 5, 'valid') for part in speed.T], axis=1)
    path = np.cumsum(speed, axis=0)
    path -= path[FRAMES // 2]
    distances = np.linalg.norm(path[:, None, :2] - path[None, :, :2], axis=-1)
    path[:, :2] *= rng.uniform(REACH / 2, REACH) / distances.max()
    path[:, 2] *= rng.uniform(0, TURN) / np.ptp(path[:, 2])
    return path


def _frame(light: np.ndarray, y: int, x: int, right: float, down: float, degrees: float
           ) -> np.ndarray:
    """The square at (y, x) as it is seen after the camera has moved and turned around its middle,
    (SIZE, SIZE, 3)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    middle = np.full(2, (SIZE - 1) / 2)
    turn = np.array([[c, -s], [s, c]])
    shift = np.array([x + right, y + down]) + middle - turn @ middle
    return cv2.warpAffine(light, np.column_stack([turn, shift]), (SIZE, SIZE),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REFLECT_101)


def _to_8_bit(image: np.ndarray) -> np.ndarray:
    return image.clip(0, 255).round().astype(np.uint8)
