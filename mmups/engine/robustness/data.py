"""A test set with a corruption in its pipeline, and what its pipeline does to the ground truth."""
import copy
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Dataset


def corrupted(dataloader: dict, corruption: str, severity: int) -> dict:
    """A dataloader's config whose images are corrupted as soon as they are loaded.

    Args:
        dataloader: Stays as it is.
        corruption: As of :class:`mmups.datasets.corrupt.Corrupt`.
        severity: 1 to 5.

    Raises:
        ValueError: It has no pipeline that loads an image.
    """
    dataloader = copy.deepcopy(dataloader)
    found = False
    for pipeline in _pipelines(dataloader['dataset']):
        for index, step in enumerate(pipeline):
            kind = step['type'] if isinstance(step['type'], str) else step['type'].__name__
            if kind.split('.')[-1].startswith('LoadImage'):
                pipeline.insert(index + 1, dict(type='mmups.Corrupt', corruption=corruption,
                                                severity=severity))
                found = True
                break
    if not found:
        raise ValueError('corruptions need a test_dataloader whose pipeline has a transform '
                         'LoadImage...: the images are corrupted right after it')
    return dataloader


def _pipelines(value: Any) -> Iterator[list]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == 'pipeline' and isinstance(inner, list):
                yield inner
            else:
                yield from _pipelines(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _pipelines(inner)


def truth_is_original(dataset: Dataset) -> bool:
    """Whether annotations are loaded after the image is resized and keep the file's size, as in
    the test pipelines of both hosts."""
    while not hasattr(dataset, 'pipeline'):
        inner = getattr(dataset, 'dataset', None) or next(iter(getattr(dataset, 'datasets', ())),
                                                           None)
        if inner is None:
            return True
        dataset = inner
    names = [type(step).__name__ for step in getattr(dataset.pipeline, 'transforms', ())]
    loads = [index for index, name in enumerate(names) if 'Annotation' in name]
    resizes = [index for index, name in enumerate(names) if 'Resize' in name]
    return not (loads and resizes) or max(loads) > max(resizes)
