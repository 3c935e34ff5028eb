"""Data sets of two views. An item is what :class:`CorrelationNet` takes, without the batch:

``inputs`` (6, H, W) float32 in [0, 1], left and right, RGB; ``data_samples``, a dict of
``disparity`` (H, W) float32, 0 where unknown, ``valid`` (H, W) bool, ``occluded`` (H, W) bool.
"""
import numpy as np
import torch
from torch.utils.data import Dataset

from .disparity import occlusions
from .registry import DATASETS
from .warps import SPLITS, expose, load_photos, random_layers, render

#: mmengine hands it to metrics and warns where a data set has none.
NO_META: dict = {}


def to_item(left: np.ndarray, right: np.ndarray, disparity: np.ndarray, valid: np.ndarray,
            occluded: np.ndarray) -> dict:
    """Views (H, W, 3) uint8 and maps (H, W) as an item."""
    views = torch.from_numpy(np.concatenate([left, right], 2).transpose(2, 0, 1).copy())
    maps = dict(disparity=disparity, valid=valid, occluded=occluded)
    return dict(inputs=views.float() / 255,
                data_samples={name: torch.from_numpy(array) for name, array in maps.items()})


@DATASETS.register_module()
class PhotoWarps(Dataset):
    """Pairs that :mod:`.warps` makes when they are asked for. Pair i is always the same.

    Args:
        split: 'train' or 'val', which share no pixel of a photograph.
        length: Number of pairs.
        size: Height and width.
        max_disparity: The greatest there may be.
        seed: Of all pairs.

    Raises:
        ValueError: An unknown ``split``.
        ImportError: scikit-image or scikit-learn is not installed.
    """
    metainfo = NO_META

    def __init__(self, split: str, length: int, size: tuple[int, int] = (96, 224),
                 max_disparity: int = 64, seed: int = 0):
        self.photos = load_photos(split)
        self.split, self.length, self.size = split, length, tuple(size)
        self.max_disparity, self.seed = max_disparity, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < self.length:
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        pair = render(random_layers(self.photos, rng, self.size, self.max_disparity),
                      self.max_disparity)
        return to_item(expose(pair.left, rng), expose(pair.right, rng), pair.disparity,
                       np.ones(self.size, bool), pair.occluded)


@DATASETS.register_module()
class Motorcycle(Dataset):
    """The pair of the Middlebury 2014 benchmark that scikit-image carries, a quarter of its size.

    D. Scharstein et al., "High-Resolution Stereo Datasets with Subpixel-Accurate Ground Truth",
    GCPR 2014. One item of 500 x 741 pixels. Disparity is known for 93 % of the pixels; which of
    them are occluded is what :func:`occlusions` says of it.

    Raises:
        ImportError: scikit-image is not installed.
    """
    metainfo = NO_META

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict:
        if index != 0:
            raise IndexError(index)
        try:
            from skimage.data import stereo_motorcycle
        except ImportError as error:
            raise ImportError('the pair comes with scikit-image: pip install "mmups[demo]"'
                              ) from error
        left, right, disparity = stereo_motorcycle()
        valid = np.isfinite(disparity)
        disparity = np.where(valid, disparity, 0).astype(np.float32)
        return to_item(left, right, disparity, valid, occlusions(disparity, valid))
