"""DigitScenes as data sets of mmseg."""
from mmseg.datasets import BaseSegDataset, NYUDataset

from mmups.registry import DATASETS

from .digit_scenes_classes import seg_metainfo
from .readable import ReadableErrors


@DATASETS.register_module()
class DigitScenesSegDataset(ReadableErrors, BaseSegDataset):
    """Five classes: brick, grass, gravel, photo, digit. No pixel is ignored.

    Args:
        img_suffix: Of the images.
        kwargs: As in BaseSegDataset; ``data_root`` is the folder that
            ``tools/dataset_converters/digit_scenes.py`` made.
    """
    METAINFO = seg_metainfo(5)

    def __init__(self, img_suffix: str = '.png', **kwargs):
        super().__init__(img_suffix=img_suffix, **kwargs)


@DATASETS.register_module()
class DigitScenes14SegDataset(DigitScenesSegDataset):
    """Fourteen classes: brick, grass, gravel, photo, and the digits 0 to 9."""
    NUM_CLASSES = 14
    METAINFO = seg_metainfo(14)


@DATASETS.register_module()
class DigitScenesDepthDataset(ReadableErrors, NYUDataset):
    """Depth maps in millimetres, uint16, for LoadDepthAnnotation(depth_rescale_factor=1e-3).

    Digits are 0.45 to 2.1 m away, and hide and shade what is behind them; stuff is 2.4 to 9.6 m
    away, which a picture does not show: no network can know it.

    Args:
        img_suffix: Of the images.
        kwargs: As in NYUDataset; ``data_prefix`` has ``img_path`` and ``depth_map_path``.
    """
    METAINFO = dict(classes=())

    def __init__(self, img_suffix: str = '.png', **kwargs):
        super().__init__(img_suffix=img_suffix, **kwargs)
