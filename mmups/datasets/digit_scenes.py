"""DigitScenes: handwritten digits over textures and photographs, composed from a seed.

A scene has one to three regions of stuff (brick, grass, gravel, photo) with smooth borders, and up
to six digits that cover each other, are shaded and cast a soft shadow. Strokes are thin: much of a
digit is boundary. This module makes the pixels and labels of one scene; ``digit_scenes_files``
writes a data set of them in every task's format.

Where the pixels come from (nothing is downloaded: both packages carry them):

* Digits: scikit-learn's ``load_digits``, 1,797 digits of 8x8 pixels and 17 grey levels, the test
  part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine
  Learning Repository, 1998; CC BY 4.0).
* brick (CC0Textures, "Bricks25"), gravel (CC0Textures, "Gravel04"), grass (linolafett, DeviantArt,
  "Grass-01"): scikit-image's grey textures, all CC0; coloured here.
* photo: scikit-image's ``astronaut`` (NASA, public domain), ``chelsea`` (Stefan van der Walt,
  CC0), ``coffee`` (Rachel Michetti, CC0), ``rocket`` (SpaceX, public domain).

Training and validation share no source: of each digit class the first 70 % in scikit-learn's order
are for training, the rest for validation, which keeps most writers apart; of every texture and
photograph the left 70 % of the columns are for training, the right 30 % for validation.

Convention: lengths are in pixels at the scale where the shorter side of a scene is 128; a scene
of another size is the same kind of picture, drawn finer or coarser. Points are (x, y), pixel
centres are integers, affine maps are 2x3 and go from the scene to the source.
"""
import colorsys
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from .digit_scenes_classes import STUFF

SPLITS = ('train', 'val')
TRAIN_SHARE = 0.7
PHOTOS = ('astronaut', 'chelsea', 'coffee', 'rocket')
#: Grey level -> RGB, piecewise linear: the tints of the grey textures
TINTS = {
    'brick': ((30, (48, 20, 16)), (105, (158, 76, 56)), (170, (208, 196, 182)),
              (255, (245, 240, 230))),
    'grass': ((0, (14, 28, 8)), (120, (74, 116, 40)), (255, (214, 226, 140))),
    'gravel': ((0, (20, 20, 24)), (128, (128, 124, 122)), (255, (240, 234, 226))),
}
#: Scene pixels per source pixel. Bricks and stones stay recognisable in a narrow region.
ZOOM = {'brick': (0.7, 1.1), 'grass': (0.8, 1.3), 'gravel': (0.9, 1.5), 'photo': (0.7, 1.5)}
#: Largest angle from upright in degrees; bricks lie or stand.
TURN = {'brick': 12, 'grass': 180, 'gravel': 180, 'photo': 15}

CELL = 12  # pixels of an outline per pixel of a scikit-learn digit
PAD = 3  # empty digit pixels around it
INK = 0.48  # that makes a stroke: less closes the loops of 6, 8 and 9, more breaks thin zeros
DIGIT_SIZE = (24, 62)  # height of the 8x8 grid
MIN_VISIBLE = 0.45  # share of its own area that a digit must show, or it is left out
MIN_AREA = 30  # likewise, in pixels
CONTRAST = 120  # RGB distance between a digit and what is under it, where a colour offers it


@dataclass(frozen=True)
class Sources:
    """What scenes of one split are made of.

    Attributes:
        digits: (N, 8, 8) float32, ink from 0 to 1.
        labels: (N,) the digits' classes, 0 to 9.
        indices: (N,) the digits' indices in scikit-learn's ``load_digits``.
        textures: Stuff class -> its RGB images, (H, W, 3) uint8; tints are applied.
    """
    digits: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    textures: dict


@dataclass(frozen=True)
class Digit:
    """One digit of a scene: its class 0 to 9, and its index in scikit-learn's ``load_digits``."""
    label: int
    index: int


@dataclass(frozen=True)
class Scene:
    """A composed picture of H x W pixels.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        stuff: (H, W) uint8, index in ``STUFF`` of what lies behind the digits.
        instances: (H, W) uint8, 0 where no digit is, else 1 + index in ``digits``. A pixel
            belongs to the frontmost digit that covers at least half of it.
        depth: (H, W) uint16, distance in millimetres, 0.45 to 2.1 m for digits and 2.4 to 9.6 m
            for stuff; never 0, which means "unknown" in depth maps.
        digits: From the farthest to the nearest.
    """
    image: np.ndarray
    stuff: np.ndarray
    instances: np.ndarray
    depth: np.ndarray
    digits: tuple


def columns(width: int, split: str) -> slice:
    """Columns of a source image of ``width`` pixels that belong to ``split``."""
    border = round(width * TRAIN_SHARE)
    return slice(0, border) if split == 'train' else slice(border, width)


def digit_indices(labels: np.ndarray, split: str) -> np.ndarray:
    """Sorted indices of the digits (N,) that belong to ``split``: a share of each class."""
    parts = []
    for label in range(10):
        indices = np.flatnonzero(labels == label)
        border = round(len(indices) * TRAIN_SHARE)
        parts.append(indices[:border] if split == 'train' else indices[border:])
    return np.sort(np.concatenate(parts))


@cache
def load_sources(split: str) -> Sources:
    """Read the pixels of one split from scikit-learn and scikit-image.

    Raises:
        ValueError: ``split`` is neither 'train' nor 'val'.
        ImportError: One of the packages is not installed.
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, got split={split!r}')
    try:
        from skimage import data as pictures
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('making DigitScenes needs scikit-learn and scikit-image: '
                          'pip install "mmups[demo]"') from error
    everything = load_digits()
    indices = digit_indices(everything.target, split)
    textures = {}
    for name in STUFF:
        images = ([getattr(pictures, photo)() for photo in PHOTOS] if name == 'photo' else
                  [_tint(getattr(pictures, name)(), TINTS[name])])
        textures[name] = [image[:, columns(image.shape[1], split)] for image in images]
    return Sources(everything.images[indices].astype(np.float32) / 16, everything.target[indices],
                   indices, textures)


def _tint(grey: np.ndarray, stops: tuple) -> np.ndarray:
    """Colour a grey image (H, W) uint8 by interpolation between (grey level, RGB) stops."""
    levels, colours = zip(*stops)
    table = np.stack([np.interp(np.arange(256), levels, channel) for channel in zip(*colours)], -1)
    return table.round().astype(np.uint8)[grey]


def compose_scene(sources: Sources, rng: np.random.Generator, size: tuple,
                  stroke: float = 1.) -> Scene:
    """Draw one scene.

    Args:
        sources: Of one split.
        rng: Decides everything else.
        size: (H, W), each 64 or more.
        stroke: Width of the digits' strokes as a ratio to those of the source, 0.3 to 2. Digits of
            which too little is left or to be seen are left out, so that scenes of the same ``rng``
            but another stroke may differ in their digits, and then in what is drawn after them.

    Raises:
        ValueError: ``size`` or ``stroke`` is not that.
    """
    size, stroke = check_size(size), check_stroke(stroke)
    stuff, canvas, depth = _background(sources, rng, size)
    shapes = _visible(_digit(sources, rng, size, stroke) for _ in range(rng.integers(2, 7)))
    # nearer by a fixed ratio, larger than what tilt and chance can undo
    distances = 1900 * (0.5 / 1.9)**(np.arange(len(shapes)) / 5) * rng.uniform(0.97, 1.03)
    instances = np.zeros(size, np.uint8)
    for k, shape in enumerate(shapes):
        _paint(canvas, shape, rng)
        instances[shape.mask] = k + 1
        depth[shape.mask] = (distances[k] * _tilt(rng, size, 0.06))[shape.mask]
    canvas += rng.normal(0, rng.uniform(1, 4), size).astype(np.float32)[..., None]
    return Scene(canvas.clip(0, 255).round().astype(np.uint8), stuff, instances,
                 depth.round().astype(np.uint16), tuple(shape.digit for shape in shapes))


def check_size(size) -> tuple:
    """``size`` as a tuple (H, W).

    Raises:
        ValueError: It is not two integers of 64 or more.
    """
    size = tuple(size)
    if len(size) != 2 or any(not isinstance(n, (int, np.integer)) or n < 64 for n in size):
        raise ValueError(f'size must be (height, width), two integers of 64 or more, got {size=}')
    return size


def check_stroke(stroke: float) -> float:
    """``stroke``.

    Raises:
        ValueError: It is not from 0.3 to 2.
    """
    if not 0.3 <= stroke <= 2:
        raise ValueError(f"stroke must be from 0.3 to 2 times the source's width, got {stroke=}")
    return stroke


def _unit(size: tuple) -> float:
    return min(size) / 128


def _field(rng: np.random.Generator, cells: int, size: tuple) -> np.ndarray:
    """Smooth noise (H, W) float32 of about unit variance, with ``cells`` bumps along a side."""
    noise = rng.normal(size=(cells, cells)).astype(np.float32)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)


def _tilt(rng: np.random.Generator, size: tuple, strength: float) -> np.ndarray:
    """Plane (H, W) around 1 that deviates by at most ``strength``, float32."""
    h, w = size
    rise = rng.uniform(-strength, strength, 2)
    return (1 + np.linspace(-rise[0], rise[0], h, dtype=np.float32)[:, None] / 2
            + np.linspace(-rise[1], rise[1], w, dtype=np.float32) / 2)


def _background(sources: Sources, rng: np.random.Generator, size: tuple) -> tuple:
    """Labels (H, W), picture (H, W, 3) and depth (H, W) of the stuff."""
    kinds = rng.permutation(len(STUFF))[:rng.integers(1, 4)]
    fields = [_field(rng, 3, size) + 0.2 * _field(rng, 8, size) for _ in kinds]
    regions = np.argmax(fields, axis=0)
    canvas, depth = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    for k, kind in enumerate(kinds):
        inside = (regions == k).astype(np.float32)
        # blurred by less than a pixel: anti-aliased, and half covered where the label changes
        weight = cv2.GaussianBlur(inside, (3, 3), 0.6)[..., None]
        canvas += weight * _crop(sources.textures[STUFF[kind]], STUFF[kind], rng, size)
        depth += inside * rng.uniform(3000, 8000) * _tilt(rng, size, 0.2)
    return kinds.astype(np.uint8)[regions], canvas, depth


def _crop(images: list, kind: str, rng: np.random.Generator, size: tuple) -> np.ndarray:
    """A turned, scaled and lit crop (H, W, 3) float32; beyond its borders an image is mirrored."""
    image = images[rng.integers(len(images))]
    zoom = rng.uniform(*ZOOM[kind]) * max(_unit(size), 1)**0.5
    angle = rng.uniform(-TURN[kind], TURN[kind])
    if kind == 'brick' and rng.random() < 0.7:
        angle += 90
    reach = np.minimum(np.array(size[::-1]) / zoom, image.shape[1::-1]) / 2  # half the crop
    centre = rng.uniform(reach, np.array(image.shape[1::-1]) - reach)
    turn = _rotation(angle) / zoom
    turn[:, 0] *= rng.choice((-1, 1))  # mirrored or not
    matrix = np.column_stack([turn, centre - turn @ _centre(size)])
    crop = cv2.warpAffine(image, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT_101,
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    light = rng.uniform(0.7, 1.2) * rng.uniform(0.93, 1.07, 3) * _tilt(rng, size, 0.3)[..., None]
    return (crop * light).astype(np.float32)


def _rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _centre(size: tuple) -> np.ndarray:
    return (np.array(size[::-1]) - 1) / 2


@dataclass
class _Shape:
    """A digit in place. ``distance``: (H, W), scene pixels to its outline, positive inside;
    ``shadow``: the same for its shadow."""
    digit: Digit
    distance: np.ndarray
    shadow: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        """Coverage (H, W), 0 to 1, with a ramp of one pixel."""
        return np.clip(self.distance + 0.5, 0, 1)

    @property
    def mask(self) -> np.ndarray:
        return self.alpha >= 0.5


def _digit(sources: Sources, rng: np.random.Generator, size: tuple, stroke: float) -> _Shape:
    """A random digit at a random place."""
    label = rng.integers(10)  # classes are drawn evenly, then a digit of the class
    k = rng.choice(np.flatnonzero(sources.labels == label))
    outline = _restroked(_outline(sources.digits[k]), stroke)
    unit = _unit(size)
    scale = np.exp(rng.uniform(*np.log(DIGIT_SIZE))) * unit / (8 * CELL)
    stretch = np.array([[rng.uniform(0.8, 1.2), rng.uniform(-0.25, 0.25)], [0, 1]])
    to_source = np.linalg.inv(_rotation(rng.uniform(-25, 25)) @ stretch * scale)
    place = rng.uniform(0.12, 0.88, 2) * size[::-1]
    fall = rng.uniform((-2, 1), (2, 3)) * unit  # of the shadow

    def put(place):
        matrix = np.column_stack([to_source, _centre(outline.shape) - to_source @ place])
        return scale * cv2.warpAffine(outline, matrix, size[::-1], borderValue=-PAD * CELL,
                                      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    return _Shape(Digit(int(label), int(sources.indices[k])), put(place), put(place + fall))


def _outline(ink: np.ndarray) -> np.ndarray:
    """Signed distance to the outline of a digit (8, 8), in 1/CELL of its pixels, float32."""
    ink = np.pad(ink, PAD)
    side = len(ink) * CELL
    smooth = cv2.GaussianBlur(cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC), (0, 0),
                              CELL / 5)
    inside = (smooth > INK).astype(np.uint8)
    return (cv2.distanceTransform(inside, cv2.DIST_L2, 5)
            - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5))


def _restroked(outline: np.ndarray, stroke: float) -> np.ndarray:
    """The same digit with strokes of another width. In a stroke the distances to its border go
    evenly from 0 to half its width: their mean is half of that."""
    return outline - (1 - stroke) * 2 * outline[outline > 0].mean()


def _visible(shapes) -> list:
    """The shapes of which enough shows, farthest first; the first one given is the farthest.

    Decided from the nearest to the farthest: one that is left out hides nothing.
    """
    kept, taken = [], False
    for shape in reversed(list(shapes)):
        mask = shape.mask
        visible = (mask & ~np.asarray(taken)).sum()
        if visible >= max(MIN_VISIBLE * mask.sum(), MIN_AREA * _unit(mask.shape)**2):
            kept.append(shape)
            taken = taken | mask
    return kept[::-1]


def _paint(canvas: np.ndarray, shape: _Shape, rng: np.random.Generator) -> None:
    """Draw a digit and its shadow on ``canvas`` (H, W, 3), in a colour that stands out."""
    size = canvas.shape[:2]
    unit = _unit(size)
    mask = shape.mask
    canvas *= 1 - 0.5 * np.clip(0.5 + shape.shadow / (6 * unit), 0, 1)[..., None]
    hues, saturations, values = rng.random(8), rng.uniform(0.2, 1, 8), rng.uniform(0.15, 1, 8)
    colours = 255 * np.array(list(map(colorsys.hsv_to_rgb, hues, saturations, values)), np.float32)
    contrast = np.linalg.norm(colours - canvas[mask].mean(0), axis=1)
    colour = colours[np.argmax(np.minimum(contrast, CONTRAST))]  # the first that is good enough
    relief = 0.9 + 0.2 * np.clip(shape.distance / (3 * unit), 0, 1)  # darker towards the edge
    paint = colour * (relief * _tilt(rng, size, 0.4))[..., None]
    canvas += shape.alpha[..., None] * (paint - canvas)
