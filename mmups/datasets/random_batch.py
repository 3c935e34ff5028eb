"""Random images with every kind of label, to run a model of any task without a data set."""
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor


def random_batch(cfg: Config, size: tuple[int, int], count: int = 2) -> dict:
    """What a data loader of the config would return; the same at every call.

    Args:
        cfg: Config of a model of mmdet, mmseg or image restoration.
        size: Height and width of the images.
        count: How many images.

    Returns:
        ``inputs`` and ``data_samples``, for the model's data preprocessor.
    """
    torch.manual_seed(0)
    if str(cfg.model.type).endswith('ImageRestorer'):
        return _restoration(size, count)
    classes = min(_values(cfg.model, 'num_classes'), default=2)
    if cfg.default_scope == 'mmseg':
        return _segmentation(size, count, classes)
    from mmdet.testing import demo_mm_inputs, demo_track_inputs
    masks = 'mask' in str({**cfg.model, 'data_preprocessor': None})  # not every head bears them
    # mmdet draws labels from 1 on, and semantic maps of one byte.
    options = dict(image_shapes=(3, *size), num_classes=min(max(classes, 2), 255),
                   with_mask=masks, with_semantic=True)
    if 'Track' in str(cfg.model.get('data_preprocessor', {}).get('type')):
        return demo_track_inputs(1, num_frames=count, key_frames_inds=[0], num_items=None,
                                 **options)
    batch = demo_mm_inputs(count, num_items=[2] * count, **options)
    for sample in batch['data_samples']:
        sample.gt_instances.labels %= classes
    return batch


def _images(size: tuple[int, int], count: int) -> list[Tensor]:
    return list(torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8))


def _restoration(size: tuple[int, int], count: int) -> dict:
    samples = [BaseDataElement(metainfo=dict(ori_shape=size, img_shape=size), gt_img=image)
               for image in _images(size, count)]
    return dict(inputs=_images(size, count), data_samples=samples)


def _segmentation(size: tuple[int, int], count: int, classes: int) -> dict:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    def labels(values: int) -> Tensor:
        return torch.randint(0, values, (1, *size))
    samples = [SegDataSample(
        metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size),
        gt_sem_seg=PixelData(data=labels(max(classes, 2))),
        gt_edge_map=PixelData(data=labels(2)),
        gt_depth_map=PixelData(data=torch.rand(1, *size) + 1)) for _ in range(count)]
    return dict(inputs=_images(size, count), data_samples=samples)


def _values(node: Any, key: str) -> Iterator[int]:
    """Every positive integer under this key."""
    if isinstance(node, dict):
        if isinstance(node.get(key), int) and node[key] > 0:
            yield node[key]
        for value in node.values():
            yield from _values(value, key)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _values(value, key)
