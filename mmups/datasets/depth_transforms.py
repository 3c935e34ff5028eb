"""Transforms of the depth recipe on NYU that mmseg and mmcv do not have.

The recipe is that of the Monocular-Depth-Estimation-Toolbox (Apache-2.0; a description was
followed, none of its code was read), which has it from Lee et al., "From Big to Small: Multi-Scale
Local Planar Guidance for Monocular Depth Estimation" (arXiv:1907.10326).
Deviations: the image stays uint8, and is rounded once.
"""
import numpy as np

from mmups.registry import TRANSFORMS

Range = tuple[float, float]


@TRANSFORMS.register_module()
class FixedCrop:
    """Keeps the same part of every image and of its maps (``seg_fields``), as NYU's white frame
    makes necessary.

    Args:
        top, bottom, left, right: Rows top to bottom - 1, columns left to right - 1 are kept.

    Raises:
        ValueError: They are no part; in a pipeline, the image is smaller.
    """

    def __init__(self, top: int, bottom: int, left: int, right: int):
        if not (0 <= top < bottom and 0 <= left < right):
            raise ValueError(f'a crop needs 0 <= top < bottom and 0 <= left < right, got {top=}, '
                             f'{bottom=}, {left=}, {right=}')
        self.box = (top, bottom, left, right)

    def __call__(self, results: dict) -> dict:
        top, bottom, left, right = self.box
        height, width = results['img'].shape[:2]
        if bottom > height or right > width:
            raise ValueError(f'mmups.FixedCrop keeps rows {top} to {bottom} and columns {left} to '
                             f'{right}, and the image has {height} x {width} pixels')
        kept = {key: results[key][top:bottom, left:right]
                for key in ('img', *results.get('seg_fields', []))}
        return {**results, **kept, 'img_shape': (bottom - top, right - left)}

    def __repr__(self) -> str:
        return f'{type(self).__name__}{self.box}'


@TRANSFORMS.register_module()
class ColorAug:
    """Random gamma, brightness and colours of ``results['img']``, (H, W, 3) uint8.

    With the image in 0 .. 1 it is ``(image ** gamma * brightness * colour).clip(0, 1)``, with one
    colour factor per channel.

    Args:
        prob: Share of the images that are changed, 0 to 1.
        gamma_range, brightness_range, color_range: Least and largest of each number.

    Raises:
        ValueError: ``prob`` is not in 0 .. 1, or a range is not one of positive numbers; in a
            pipeline, an image of another form.
    """

    def __init__(self, prob: float = 0.5, gamma_range: Range = (0.9, 1.1),
                 brightness_range: Range = (0.75, 1.25), color_range: Range = (0.9, 1.1)):
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be in 0 .. 1, got prob={prob}')
        self.prob = prob
        self.ranges = dict(gamma_range=gamma_range, brightness_range=brightness_range,
                           color_range=color_range)
        for name, (least, largest) in self.ranges.items():
            if not 0 < least <= largest:
                raise ValueError(f'{name} must go from a positive number to one as large or '
                                 f'larger, got {name}={(least, largest)}')

    def __call__(self, results: dict) -> dict:
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError('mmups.ColorAug takes images (H, W, 3) uint8 before normalisation, '
                             f'got {image.shape} {image.dtype}')
        if np.random.rand() >= self.prob:
            return results
        gamma, brightness, colours = (np.random.uniform(*limits, size) for limits, size in zip(
            self.ranges.values(), (None, None, 3)))
        changed = (image / 255)**gamma * brightness * colours
        return {**results, 'img': (changed.clip(0, 1) * 255).round().astype(np.uint8)}

    def __repr__(self) -> str:
        options = ', '.join(f'{name}={limits}' for name, limits in self.ranges.items())
        return f'{type(self).__name__}(prob={self.prob}, {options})'
