"""The 15 common corruptions (Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261).

By the package ``imagecorruptions-imaug`` (Apache-2.0), which has the images for frost. Deviations:
none of its own; those of that package are its form for images of any size from 32 pixels on.
"""
import inspect
import zlib
from types import ModuleType

import numpy as np

from mmups.registry import TRANSFORMS

CORRUPTIONS = ('gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur',
               'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast',
               'elastic_transform', 'pixelate', 'jpeg_compression')


@TRANSFORMS.register_module()
class Corrupt:
    """Corrupts ``results['img']``, an image (H, W, 3) uint8 before normalisation, in BGR as the
    hosts load it, unless ``results['channel_order']`` is 'rgb'.

    The same image gets the same corruption in every run, whatever is drawn elsewhere: the random
    numbers are seeded by its bytes. In pipelines of both hosts, right after the image is loaded.

    Args:
        corruption: One of :data:`CORRUPTIONS`.
        severity: 1 to 5.

    Raises:
        ValueError: Another corruption or severity; in a pipeline, an image of another form.
        ImportError: The package is not installed.
    """

    def __init__(self, corruption: str, severity: int = 1):
        if corruption not in CORRUPTIONS:
            raise ValueError(f'there is no corruption {corruption!r}; corruptions are '
                             f'{", ".join(CORRUPTIONS)}')
        if severity not in range(1, 6):
            raise ValueError(f'severity must be 1, 2, 3, 4 or 5, got {severity}')
        self.corruption, self.severity = corruption, int(severity)
        seeded = inspect.signature(getattr(_package().corruptions, corruption)).parameters
        self.takes_seed = 'seed' in seeded

    def __call__(self, results: dict) -> dict:
        image, is_rgb = results['img'], results.get('channel_order') == 'rgb'
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f'mmups.Corrupt takes images (H, W, 3) uint8 before normalisation, '
                             f'got {image.shape} {image.dtype}')
        if min(image.shape[:2]) < 32:
            raise ValueError('the common corruptions are defined for images of 32 pixels and more, '
                             f'got {image.shape[1]} x {image.shape[0]}')
        image = np.ascontiguousarray(image[..., ::-1]) if is_rgb else image
        seed = zlib.crc32(image.tobytes())
        options = dict(seed=seed) if self.takes_seed else {}
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            corrupted = _package().corrupt(
                np.ascontiguousarray(image[..., ::-1]), severity=self.severity,
                corruption_name=self.corruption, **options)
        finally:
            np.random.set_state(state)
        corrupted = corrupted if is_rgb else corrupted[..., ::-1]
        return {**results, 'img': np.ascontiguousarray(corrupted)}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(corruption={self.corruption!r}, severity={self.severity})'


def _package() -> ModuleType:
    try:
        import imagecorruptions
    except ImportError as error:
        raise ImportError('mmups.Corrupt needs the package imagecorruptions-imaug: '
                          'pip install "mmups[corruptions]"') from error
    return imagecorruptions
