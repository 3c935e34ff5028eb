"""DigitScenes as data sets of mmdet: boxes and masks, and panoptic segments."""
from mmdet.datasets import CocoDataset, CocoPanopticDataset

from mmups.registry import DATASETS

from .digit_scenes_classes import det_metainfo, panoptic_metainfo
from .readable import ReadableErrors


@DATASETS.register_module()
class DigitScenesDetDataset(ReadableErrors, CocoDataset):
    """Boxes and masks of one class, digit.

    Arguments as in CocoDataset; ``data_root`` is the folder that
    ``tools/dataset_converters/digit_scenes.py`` made.
    """
    METAINFO = det_metainfo(5)


@DATASETS.register_module()
class DigitScenes14DetDataset(DigitScenesDetDataset):
    """Boxes and masks of the digits 0 to 9."""
    NUM_CLASSES = 14
    METAINFO = det_metainfo(14)


@DATASETS.register_module()
class DigitScenesPanopticDataset(ReadableErrors, CocoPanopticDataset):
    """Segments: digit (thing), brick, grass, gravel, photo (stuff).

    Arguments as in CocoPanopticDataset; ``data_root`` as in :class:`DigitScenesDetDataset`.
    """
    METAINFO = panoptic_metainfo(5)


@DATASETS.register_module()
class DigitScenes14PanopticDataset(DigitScenesPanopticDataset):
    """Segments: the digits 0 to 9 (things), brick, grass, gravel, photo (stuff)."""
    NUM_CLASSES = 14
    METAINFO = panoptic_metainfo(14)
