"""DigitScenes as a data set of mmseg."""
from mmseg.datasets import BaseSegDataset

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
