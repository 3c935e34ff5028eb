"""Steps of a pipeline for pairs of images: loading, augmentation, packing.

They take and give the dict of mmengine's pipelines. Between the steps ``img`` and ``gt`` are the
degraded and the true image, (H, W, 3) uint8, RGB in training and in testing alike.
"""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmups.registry import TRANSFORMS

KEYS = ('img', 'gt')


@TRANSFORMS.register_module()
class LoadImagePair:
    """Reads the files ``img_path`` and ``gt_path``, of 8 bits, as RGB.

    Raises:
        ValueError: In a pipeline, one is no image, or they are of different sizes.
    """

    def __call__(self, results: dict) -> dict:
        paths = [results[f'{key}_path'] for key in KEYS]
        image, truth = map(_read, paths)
        if image.shape != truth.shape:
            raise ValueError(f'{paths[0]} and {paths[1]} must be of one size, got '
                             f'{image.shape} and {truth.shape}')
        return {**results, 'img': image, 'gt': truth, 'ori_shape': image.shape[:2],
                'channel_order': 'rgb'}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _read(path: str) -> np.ndarray:
    content = np.frombuffer(Path(path).read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise ValueError(f'{path} cannot be read as an image')
    return image[..., ::-1]


@TRANSFORMS.register_module()
class PairedRandomCrop:
    """Cuts the same random rectangle out of both images.

    Args:
        crop_size: Its height and width, or one number for both.

    Raises:
        ValueError: ``crop_size`` is not that; in a pipeline, an image is smaller.
    """

    def __init__(self, crop_size: Union[int, Sequence[int]]):
        pair = isinstance(crop_size, (list, tuple))
        size = tuple(crop_size) if pair else (crop_size, crop_size)
        if len(size) != 2 or any(not isinstance(n, int) or n < 1 for n in size):
            raise ValueError('crop_size must be one or two integers of 1 or more, got '
                             f'{crop_size!r}')
        self.crop_size = size

    def __call__(self, results: dict) -> dict:
        (height, width), size = self.crop_size, results['img'].shape[:2]
        if height > size[0] or width > size[1]:
            raise ValueError(f'{results.get("img_path")} has {size[0]} rows and {size[1]} columns, '
                             f'and a crop of {height} x {width} does not fit')
        top, left = (np.random.randint(whole - part + 1)
                     for whole, part in zip(size, self.crop_size))
        return {**results, **{key: results[key][top:top + height, left:left + width]
                              for key in KEYS}}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


@TRANSFORMS.register_module()
class PairedFlipTranspose:
    """Flips both images left to right, upside down, and exchanges rows and columns, each by even
    chance: all eight ways to lay a square on itself are equally probable."""

    def __call__(self, results: dict) -> dict:
        mirrored, upside_down, transposed = np.random.randint(2, size=3)

        def moved(image: np.ndarray) -> np.ndarray:
            image = image[:, ::-1] if mirrored else image
            image = image[::-1] if upside_down else image
            return image.transpose(1, 0, 2) if transposed else image

        return {**results, **{key: moved(results[key]) for key in KEYS}}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class PackRestorationInputs:
    """Packs a pair for :class:`mmups.models.restoration.ImageRestorer`.

    ``inputs`` is the image, (3, H, W) uint8. ``data_samples`` has the truth as ``gt_img`` in the
    same form, and as meta information ``img_path``, ``gt_path``, ``ori_shape`` (of the file) and
    ``img_shape`` (as it is now), both (H, W).
    """

    def __call__(self, results: dict) -> dict:
        meta = {key: results[key] for key in ('img_path', 'gt_path', 'ori_shape')}
        sample = BaseDataElement(metainfo=dict(meta, img_shape=results['img'].shape[:2]),
                                 gt_img=_tensor(results['gt']))
        return dict(inputs=_tensor(results['img']), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
