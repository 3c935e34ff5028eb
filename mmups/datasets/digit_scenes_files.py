"""DigitScenes on disk: every task's usual format at once.

::

    manifest.json                           what was asked for: size, counts, seed, classes, stroke
    images/{train,val}/000000.png           RGB
    annotations/{train,val}/000000.png      semantic labels, uint8 (mmseg)
    annotations/instances_{train,val}.json  COCO instances, compressed RLE
    annotations/panoptic_{train,val}.json   COCO panoptic, its maps in panoptic_{train,val}/*.png
    depth/{train,val}/000000.png            millimetres, uint16 (0 would mean unknown)

A segment's id in a panoptic map is r + 256 g + 65536 b. A stuff class is one segment in the colour
of its class, a digit is one in the colour of its class with another blue. Category ids are
1 + label, in the order of panoptic labels. The instances json names each digit's index in
scikit-learn's ``load_digits`` as ``digit_index``.
"""
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

import numpy as np

from .digit_scenes import SPLITS, Scene, check_size, check_stroke, compose_scene, load_sources
from .digit_scenes_classes import STUFF, panoptic_metainfo, thing_label, things_of
from .whole_folder import check_counts, file_name, write_png, write_whole

VERSION = 1  # of the pixels and formats: a later one is another data set
FOLDERS = ('images/{}', 'annotations/{}', 'annotations/panoptic_{}', 'depth/{}')
JSONS = ('annotations/instances_{}.json', 'annotations/panoptic_{}.json')


def write_digit_scenes(out, size: tuple = (128, 128), train: int = 800, val: int = 160,
                       seed: int = 0, classes: int = 5, stroke: float = 1.,
                       progress: Callable[[list], Iterable] = iter) -> bool:
    """Compose a data set and write it; what is there already stays as it is.

    A scene depends on the size, the stroke, the seed, its split and its number only: not on the
    counts, and its picture not on ``classes``. Files are the same to the byte while numpy and
    OpenCV are.

    Args:
        out: Folder to make. The work is done in ``<out>.partial``, so that ``out`` is complete or
            absent.
        size: Height and width of the scenes, 64 or more.
        train: Number of training scenes.
        val: Number of validation scenes.
        seed: Not negative.
        classes: 5, all digits are one class, or 14, each digit is its own.
        stroke: Width of the digits' strokes as a ratio to those of the source, 0.3 to 2.
        progress: Wraps the list of (split, number) that is gone through, as tqdm does.

    Returns:
        True where it was written, False where ``out`` holds exactly this data set already.

    Raises:
        ValueError: An argument is out of its range.
        FileExistsError: ``out`` holds something else.
        ImportError: The packages that carry the pixels are not installed.
    """
    settings = _settings(size, train, val, seed, classes, stroke)
    names = [name.format(split) for split in SPLITS for name in JSONS]
    names += [f'{folder.format(split)}/{file_name(k)}' for split in SPLITS for folder in FOLDERS
              for k in range(settings[split])]

    def write(folder: Path) -> None:
        sources = {split: load_sources(split) for split in SPLITS}
        _write(folder, settings, sources, progress)

    return write_whole(out, settings, names, write)


def _settings(size, train: int, val: int, seed: int, classes: int, stroke: float) -> dict:
    """The manifest of a data set with these settings; the usual stroke is not named."""
    things_of(classes)
    counts = check_counts(train=(train, 1), val=(val, 1), seed=(seed, 0))
    return dict(name='DigitScenes', version=VERSION, size=[int(n) for n in check_size(size)],
                **counts, classes=classes,
                **({} if check_stroke(stroke) == 1 else dict(stroke=stroke)))


def _write(folder: Path, settings: dict, sources: dict, progress: Callable) -> None:
    classes, size, stroke = settings['classes'], settings['size'], settings.get('stroke', 1.)
    instances = {split: _header('instances', classes) for split in SPLITS}
    panoptic = {split: _header('panoptic', classes) for split in SPLITS}
    for split in SPLITS:
        for name in FOLDERS:
            (folder / name.format(split)).mkdir(parents=True)
    scenes = [(split, k) for split in SPLITS for k in range(settings[split])]
    for split, k in progress(scenes):
        rng = np.random.default_rng([settings['seed'], SPLITS.index(split), k])
        scene = compose_scene(sources[split], rng, size, stroke)
        segments, panoptic_map = panoptic_segments(scene, classes)
        maps = (scene.image, semantic_map(scene, classes), panoptic_map, scene.depth)
        for name, array in zip(FOLDERS, maps):
            write_png(folder / name.format(split) / file_name(k), array)
        image = dict(id=k, file_name=file_name(k), height=size[0], width=size[1])
        for content in (instances[split], panoptic[split]):
            content['images'].append(image)
        instances[split]['annotations'] += coco_instances(scene, classes, image_id=k)
        panoptic[split]['annotations'].append(
            dict(image_id=k, file_name=file_name(k), segments_info=segments))
    for split in SPLITS:
        for name, content in zip(JSONS, (instances[split], panoptic[split])):
            (folder / name.format(split)).write_text(json.dumps(content))


def _header(task: str, classes: int) -> dict:
    """A COCO json without images."""
    meta = panoptic_metainfo(classes)
    things = len(meta['thing_classes'])
    categories = [dict(id=1 + label, name=name, supercategory='digit' if label < things else name,
                       isthing=int(label < things)) for label, name in enumerate(meta['classes'])]
    return dict(info=dict(description=f'DigitScenes, {task}', version=str(VERSION)),
                images=[], annotations=[],
                categories=categories if task == 'panoptic' else categories[:things])


def semantic_map(scene: Scene, classes: int) -> np.ndarray:
    """Semantic labels (H, W) uint8: stuff, then things, as in ``seg_metainfo``."""
    labels = [len(STUFF) + thing_label(digit.label, classes) for digit in scene.digits]
    return np.where(scene.instances, np.array([0, *labels], np.uint8)[scene.instances],
                    scene.stuff)


def coco_instances(scene: Scene, classes: int, image_id: int) -> list:
    """COCO annotations of the digits, of what is visible of them."""
    try:
        from pycocotools import mask as rle
    except ImportError as error:
        raise ImportError('COCO masks need pycocotools: pip install "mmups[demo]"'
                          ) from error
    annotations = []
    for k, digit in enumerate(scene.digits):
        mask = scene.instances == k + 1
        code = rle.encode(np.asfortranarray(mask, np.uint8))
        annotations.append(dict(
            id=10 * image_id + k + 1,  # from 1: pycocotools takes id 0 for "no match"
            image_id=image_id, category_id=1 + thing_label(digit.label, classes), iscrowd=0,
            bbox=_box(mask), area=int(mask.sum()), digit_index=digit.index,
            segmentation=dict(size=list(mask.shape), counts=code['counts'].decode())))
    return annotations


def panoptic_segments(scene: Scene, classes: int) -> tuple[list, np.ndarray]:
    """COCO ``segments_info`` and its map (H, W, 3) uint8, the ids as RGB."""
    palette, things = panoptic_metainfo(classes)['palette'], len(things_of(classes))
    colours = np.zeros((*scene.stuff.shape, 3), np.uint8)
    segments = []

    def add(mask, label, colour):
        colours[mask] = colour
        segments.append(dict(id=colour[0] + 256 * colour[1] + 65536 * colour[2],
                             category_id=1 + label, iscrowd=0, bbox=_box(mask),
                             area=int(mask.sum())))

    for k, digit in enumerate(scene.digits):
        label = thing_label(digit.label, classes)
        r, g, b = palette[label]
        add(scene.instances == k + 1, label, (r, g, (b + 32 * k) % 256))
    behind = np.where(scene.instances, len(STUFF), scene.stuff)
    for kind in np.unique(behind[behind < len(STUFF)]).tolist():
        add(behind == kind, things + kind, palette[things + kind])
    return segments, colours


def _box(mask: np.ndarray) -> list:
    """x, y, width and height of the pixels of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1),
            int(rows[-1] - rows[0] + 1)]
