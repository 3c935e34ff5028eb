"""DigitScenes: composition and files against independent readings of them."""
import hashlib
import json
import runpy
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('skimage')
rle = pytest.importorskip('pycocotools.mask')

from mmengine.registry import DATASETS, DefaultScope  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402

from mmups.datasets import digit_scenes  # noqa: E402
from mmups.datasets.digit_scenes import SPLITS, compose_scene, load_sources  # noqa: E402
from mmups.datasets.digit_scenes_classes import panoptic_metainfo, seg_metainfo  # noqa: E402
from mmups.datasets.digit_scenes_files import write_digit_scenes  # noqa: E402

ROOT = Path(__file__).parents[2]
COUNTS = dict(train=30, val=30)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """The same scenes with 5 and with 14 classes."""
    root = tmp_path_factory.mktemp('digit_scenes')
    for classes in (5, 14):
        assert write_digit_scenes(root / str(classes), classes=classes, **COUNTS)
    return {classes: root / str(classes) for classes in (5, 14)}


@pytest.fixture
def own(folders, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(folders[5], tmp_path / 'own')


@pytest.fixture(scope='module')
def scenes():
    return {split: [compose_scene(load_sources(split), np.random.default_rng([9, k]), (128, 128))
                    for k in range(40)] for split in SPLITS}


def digests(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def read(path):
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return array[..., ::-1] if array.ndim == 3 else array


def content(folder, kind, split):
    return json.loads((folder / f'annotations/{kind}_{split}.json').read_text())


class TestComposition:

    @pytest.mark.parametrize('size', [(64, 64), (64, 150), (200, 90)])
    def test_sizes_and_types(self, size):
        scene = compose_scene(load_sources('train'), np.random.default_rng(1), size)
        assert scene.image.shape == (*size, 3) and scene.image.dtype == np.uint8
        assert scene.stuff.shape == scene.instances.shape == scene.depth.shape == size
        assert scene.depth.dtype == np.uint16
        assert set(np.unique(scene.instances)) <= set(range(len(scene.digits) + 1))

    @pytest.mark.parametrize('stroke', [0.5, 1.5])
    def test_strokes(self, stroke):
        """Their width, by the distance of middle lines to the border; scenes have less ink."""
        from skimage.morphology import medial_axis

        def width(outline):
            middle, distance = medial_axis(outline > 0, return_distance=True)
            return np.median(distance[middle])

        sources = load_sources('train')
        outlines = [digit_scenes._outline(digit) for digit in sources.digits[:60:4]]
        ratios = [width(digit_scenes._restroked(outline, stroke)) / width(outline)
                  for outline in outlines]
        assert np.mean(ratios) == pytest.approx(stroke, rel=0.1)

        def ink(*stroke):
            return [(compose_scene(sources, np.random.default_rng([9, k]), (128, 128),
                                   *stroke).instances > 0).mean() for k in range(20)]
        assert ink(1.) == ink()
        assert (np.mean(ink(stroke)) > np.mean(ink())) == (stroke > 1)

    @pytest.mark.parametrize('stroke', [0.2, 2.1, float('nan')])
    def test_bad_strokes(self, stroke):
        with pytest.raises(ValueError, match=f'from 0.3 to 2.*got stroke={stroke}'):
            compose_scene(load_sources('train'), np.random.default_rng(0), (64, 64), stroke)

    def test_what_is_labelled_shows(self, scenes):
        """One to six digits, each with a visible part; most stand out from what is around them."""
        contrasts = []
        for scene in scenes['train'] + scenes['val']:
            assert 1 <= len(scene.digits) <= 6
            for k in range(len(scene.digits)):
                mask = (scene.instances == k + 1).astype(np.uint8)
                assert mask.sum() >= 30
                around = cv2.dilate(mask, np.ones((7, 7))) > mask
                inside = cv2.erode(mask, np.ones((3, 3))).astype(bool)
                if inside.any():
                    contrasts.append(np.linalg.norm(scene.image[inside].mean(0)
                                                    - scene.image[around].mean(0)))
        assert np.median(contrasts) > 80

    def test_painter_order(self, monkeypatch):
        """Digits of one flat colour each: a pixel's label is the colour that dominates it.

        A label moves with the paint only if both follow one order and one coverage.
        """
        alphas = []

        def flat(canvas, shape, rng):
            alphas.append(shape.alpha)
            colour = np.zeros(3)
            colour[len(alphas) % 3] = 255
            canvas += shape.alpha[..., None] * (colour - canvas)

        monkeypatch.setattr(digit_scenes, '_paint', flat)
        overlaps = 0
        for seed in range(20):
            alphas.clear()
            scene = compose_scene(load_sources('train'), np.random.default_rng(seed), (128, 128))
            expected = np.zeros((128, 128), int)
            for k, alpha in enumerate(alphas):
                covered = alpha >= 0.5
                overlaps += (expected[covered] > 0).sum()
                expected[covered] = k + 1
            np.testing.assert_array_equal(scene.instances, expected)
            for k, alpha in enumerate(alphas):
                assert (expected == k + 1).sum() >= 0.45 * (alpha >= 0.5).sum()
                alone = (alpha == 1) & (sum(a > 0 for a in alphas[k + 1:]) == 0)
                assert (scene.image[alone].argmax(1) == (k + 1) % 3).mean() > 0.99
        assert overlaps > 500

    def test_nearer_covers_farther(self, scenes):
        """Depth falls in painter order, and at every border the covering digit is nearer."""
        for scene in scenes['train']:
            assert scene.depth[scene.instances == 0].min() >= 2400
            assert scene.depth.max() <= 9600 and scene.depth.min() >= 450
            ranges = [(scene.depth[scene.instances == k + 1].min(),
                       scene.depth[scene.instances == k + 1].max())
                      for k in range(len(scene.digits))]
            for (far, _), (_, near) in zip(ranges, ranges[1:]):
                assert near < far
            assert not ranges or ranges[0][1] < 2400

    def test_unknown_split(self):
        with pytest.raises(ValueError, match="'test'"):
            load_sources('test')


class TestSplits:

    def test_sources_are_disjoint_and_complete(self):
        """Both halves put together are scikit-image's pictures and scikit-learn's digits."""
        from skimage import data
        from sklearn.datasets import load_digits
        train, val = load_sources('train'), load_sources('val')
        together = np.sort(np.concatenate([train.indices, val.indices]))
        np.testing.assert_array_equal(together, np.arange(1797))
        for part in (train, val):
            np.testing.assert_array_equal(part.digits * 16, load_digits().images[part.indices])
            counts = np.bincount(part.labels)
            assert counts.min() > 0.9 * counts.max()
        for left, right, name in zip(train.textures['photo'], val.textures['photo'],
                                     digit_scenes.PHOTOS):
            np.testing.assert_array_equal(np.hstack([left, right]), getattr(data, name)())
        for name in ('brick', 'grass', 'gravel'):
            whole = np.hstack([train.textures[name][0], val.textures[name][0]]).astype(int)
            assert whole.shape == (512, 512, 3)
            grey = getattr(data, name)()
            order = grey.ravel().argsort(kind='stable')  # tints keep the order of grey levels
            assert (np.diff(whole.sum(-1).ravel()[order]) >= 0).all()

    def test_recorded_digits_are_disjoint(self, folders):
        used = {split: {ann['digit_index'] for ann in
                        content(folders[14], 'instances', split)['annotations']}
                for split in SPLITS}
        assert len(used['train']) > 50 and len(used['val']) > 50
        assert not used['train'] & used['val']
        for split in SPLITS:
            assert used[split] <= set(load_sources(split).indices.tolist())

    def test_recorded_digits_have_their_class(self, folders):
        from sklearn.datasets import load_digits
        target = load_digits().target
        annotated = content(folders[14], 'instances', 'train')
        names = {c['id']: c['name'] for c in annotated['categories']}
        for ann in annotated['annotations']:
            assert names[ann['category_id']] == str(target[ann['digit_index']])


class TestFiles:

    def test_same_seed_same_bytes(self, folders, tmp_path):
        write_digit_scenes(tmp_path / 'again', classes=5, **COUNTS)
        assert digests(tmp_path / 'again') == digests(folders[5])

    def test_counts_change_no_scene(self, folders, tmp_path):
        write_digit_scenes(tmp_path / 'fewer', train=3, val=5)
        fewer, all_of_them = digests(tmp_path / 'fewer'), digests(folders[5])
        pictures = [name for name in fewer if name.endswith('.png')]
        assert len(pictures) == 4 * (3 + 5)
        assert all(fewer[name] == all_of_them[name] for name in pictures)
        for kind in ('instances', 'panoptic'):
            few = content(tmp_path / 'fewer', kind, 'val')['annotations']
            assert few == content(folders[5], kind, 'val')['annotations'][:len(few)]

    def test_another_seed_other_scenes(self, folders, tmp_path):
        write_digit_scenes(tmp_path / 'other', seed=1, train=3, val=3)
        ours = digests(tmp_path / 'other')
        same = [name for name, digest in digests(folders[5]).items()
                if name.endswith('.png') and ours.get(name) == digest]
        assert same == []

    def test_five_and_fourteen_classes_agree(self, folders):
        five, fourteen = digests(folders[5]), digests(folders[14])
        for name in five:
            if name.startswith(('images', 'depth')):
                assert five[name] == fourteen[name]
        to_five = np.minimum(np.arange(14), 4)
        for path in sorted((folders[5] / 'annotations/val').iterdir()):
            labels = read(folders[14] / 'annotations/val' / path.name)
            np.testing.assert_array_equal(read(path), to_five[labels])

    @pytest.mark.parametrize('classes', [5, 14])
    @pytest.mark.parametrize('split', SPLITS)
    def test_every_class_occurs(self, folders, classes, split):
        labels = [np.unique(read(path)) for path in
                  (folders[classes] / 'annotations' / split).iterdir()]
        assert set(np.concatenate(labels).tolist()) == set(range(classes))

    @pytest.mark.parametrize('classes', [5, 14])
    @pytest.mark.parametrize('split', SPLITS)
    def test_instances(self, folders, classes, split):
        """pycocotools reads the json; its boxes, areas and masks agree with each other."""
        folder = folders[classes]
        coco = COCO(folder / f'annotations/instances_{split}.json')
        names = {c['id']: c['name'] for c in coco.dataset['categories']}
        classes_in_order = list(seg_metainfo(classes)['classes'])
        assert len(coco.anns) == len(coco.dataset['annotations'])  # ids are unique
        assert min(coco.anns) > 0
        for image in coco.dataset['images']:
            semantic = read(folder / 'annotations' / split / image['file_name'])
            assert semantic.shape == (image['height'], image['width'])
            drawn = np.full(semantic.shape, -1)
            for ann in coco.loadAnns(coco.getAnnIds(imgIds=image['id'])):
                mask = coco.annToMask(ann).astype(bool)
                assert ann['bbox'] == rle.toBbox(ann['segmentation']).tolist()
                assert ann['area'] == rle.area(ann['segmentation']) == mask.sum()
                assert (drawn[mask] == -1).all()  # visible parts do not overlap
                drawn[mask] = classes_in_order.index(names[ann['category_id']])
            np.testing.assert_array_equal(np.where(drawn < 0, semantic, drawn), semantic)
            np.testing.assert_array_equal(drawn >= 0, semantic >= 4)

    @pytest.mark.parametrize('classes', [5, 14])
    @pytest.mark.parametrize('split', SPLITS)
    def test_panoptic(self, folders, classes, split):
        """The ids r + 256 g + 65536 b of a map are those of the json, with its semantic map."""
        folder = folders[classes]
        panoptic = content(folder, 'panoptic', split)
        names = {c['id']: c['name'] for c in panoptic['categories']}
        meta = panoptic_metainfo(classes)
        # mmdet's labels follow the order of the json, and its heads want things first
        assert tuple(names.values()) == meta['classes']
        assert [c['isthing'] for c in panoptic['categories']] == [1] * (classes - 4) + [0] * 4
        instances = COCO(folder / f'annotations/instances_{split}.json')
        for ann in panoptic['annotations']:
            r, g, b = np.moveaxis(read(folder / f'annotations/panoptic_{split}'
                                       / ann['file_name']).astype(int), -1, 0)
            ids = r + 256 * g + 65536 * b
            assert sorted(np.unique(ids).tolist()) == sorted(s['id'] for s in ann['segments_info'])
            semantic = np.full(ids.shape, 255)
            for segment in ann['segments_info']:
                mask = ids == segment['id']
                assert segment['area'] == mask.sum()
                x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
                assert segment['bbox'] == [x, y, w, h]
                semantic[mask] = seg_metainfo(classes)['classes'].index(
                    names[segment['category_id']])
            np.testing.assert_array_equal(
                semantic, read(folder / 'annotations' / split / ann['file_name']))
            things = [s for s in ann['segments_info'] if s['category_id'] <= classes - 4]
            same = instances.loadAnns(instances.getAnnIds(imgIds=ann['image_id']))
            assert [(s['bbox'], s['category_id']) for s in things] == [
                (a['bbox'], a['category_id']) for a in same]

    def test_depth(self, folders):
        for path in (folders[5] / 'depth/train').iterdir():
            depth = read(path)
            digit = read(folders[5] / 'annotations/train' / path.name) == 4
            assert depth.dtype == np.uint16
            assert depth[digit].max() < 2400 <= depth[~digit].min() and depth.max() <= 9600


class TestNeverOverwrites:

    def test_the_same_again_is_left_alone(self, own):
        before = {path: path.stat().st_mtime_ns for path in own.rglob('*')}
        assert not write_digit_scenes(own, **COUNTS)
        assert before == {path: path.stat().st_mtime_ns for path in own.rglob('*')}

    def test_other_settings(self, own):
        before = digests(own)
        with pytest.raises(FileExistsError, match='"seed": 0.*"seed": 3.*another folder or del'):
            write_digit_scenes(own, seed=3, **COUNTS)
        assert digests(own) == before

    def test_lost_file(self, own):
        (own / 'depth/val/000004.png').unlink()
        with pytest.raises(FileExistsError, match='depth/val/000004.png'):
            write_digit_scenes(own, **COUNTS)

    def test_some_other_folder(self, tmp_path):
        (tmp_path / 'notes.txt').write_text('mine')
        with pytest.raises(FileExistsError, match='not a DigitScenes'):
            write_digit_scenes(tmp_path, **COUNTS)
        assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']

    def test_empty_folder_is_free(self, tmp_path):
        (tmp_path / 'out').mkdir()
        assert write_digit_scenes(tmp_path / 'out', train=1, val=1)

    def test_interrupted(self, tmp_path):
        """Neither the interrupted run nor what a killed one left is taken for a data set."""
        out = tmp_path / 'out'

        def interrupt(scenes):
            yield from scenes[:2]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_digit_scenes(out, train=4, val=1, progress=interrupt)
        assert list(tmp_path.iterdir()) == []
        left_over = tmp_path / 'out.partial/images/train/000007.png'
        left_over.parent.mkdir(parents=True)
        left_over.write_bytes(b'half')
        assert write_digit_scenes(out, train=4, val=1)
        assert list(tmp_path.iterdir()) == [out]
        assert len(list((out / 'images/train').iterdir())) == 4


@pytest.mark.parametrize('settings, message', [
    (dict(size=(0, 128)), r'\(0, 128\)'), (dict(size=(128, )), r'\(128,\)'),
    (dict(size=(63, 64)), r'\(63, 64\)'), (dict(size=(64.5, 64)), r'\(64\.5, 64\)'),
    (dict(classes=7), 'classes=7'), (dict(train=0), 'train=0'), (dict(val=-1), 'val=-1'),
    (dict(seed=-1), 'seed=-1'),
])
def test_wrong_settings(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        write_digit_scenes(tmp_path / 'out', **settings)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    load_sources.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "mmups\[demo\]"'):
        write_digit_scenes(tmp_path / 'out')
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tool(monkeypatch, tmp_path, capsys):
    """The command line, in this process; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['digit_scenes.py', *args])
        runpy.run_path(str(ROOT / 'tools/dataset_converters/digit_scenes.py'), run_name='__main__')
        return capsys.readouterr().out

    return run


def test_command_line(tool, tmp_path):
    small = ('data/out', '--train', '2', '--val', '1', '--size', '64', '96')
    assert 'data/out written' in tool(*small)
    assert read(tmp_path / 'data/out/images/train/000001.png').shape == (64, 96, 3)
    assert 'nothing to do' in tool(*small)
    with pytest.raises(SystemExit) as exit_:  # a text: printed to stderr, exit status 1
        tool(*small, '--classes', '14')
    assert '"classes": 5' in exit_.value.code and '"classes": 14' in exit_.value.code
    assert 'data/one written' in tool('data/one', '--train', '1', '--val', '1', '--size', '72')
    assert read(tmp_path / 'data/one/images/val/000000.png').shape == (72, 72, 3)
    assert '"stroke": 0.5' in tool('data/thin', '--train', '1', '--val', '1', '--stroke', '0.5')
    with pytest.raises(SystemExit, match='"stroke": 0.5'):
        tool('data/thin', '--train', '1', '--val', '1')
    with pytest.raises(SystemExit, match='from 0.3 to 2.*stroke=3.0'):
        tool('data/thick', '--stroke', '3')
    with pytest.raises(SystemExit, match=r'size=\(1, 2, 3\)'):
        tool('data/out', '--size', '1', '2', '3')


def seg(folder, split='train', name='DigitScenesSegDataset', **kwargs):
    if not find_spec('mmseg'):
        pytest.skip('extends mmseg')
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(dict(
            type=f'mmups.{name}', data_root=str(folder),
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                      dict(type='PackSegInputs')], **kwargs))


def det(folder, split='train', name='DigitScenesDetDataset', **kwargs):
    if not find_spec('mmdet'):
        pytest.skip('extends mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(dict(
            type=f'mmups.{name}', data_root=str(folder),
            ann_file=f'annotations/instances_{split}.json',
            data_prefix=dict(img=f'images/{split}/'),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                      dict(type='PackDetInputs')], **kwargs))


def panoptic(folder, split='train', name='DigitScenesPanopticDataset', **kwargs):
    if not find_spec('mmdet'):
        pytest.skip('extends mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(dict(
            type=f'mmups.{name}', data_root=str(folder),
            ann_file=f'annotations/panoptic_{split}.json',
            data_prefix=dict(img=f'images/{split}/', seg=f'annotations/panoptic_{split}/'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='mmups.LoadPanopticAnnotations'),
                      dict(type='PackDetInputs')], **kwargs))


class TestDatasets:

    @pytest.mark.parametrize('classes, infix', [(5, ''), (14, '14')])
    def test_tasks_agree(self, folders, classes, infix):
        """What the hosts' pipelines hand to a model is the same scene in each task."""
        sets = [build(folders[classes], name=f'DigitScenes{infix}{task}Dataset')
                for build, task in ((seg, 'Seg'), (det, 'Det'), (panoptic, 'Panoptic'))]
        names = [data.metainfo['classes'] for data in sets]
        assert [len(n) for n in names] == [classes, classes - 4, classes]
        assert all(len(data) == 30 for data in sets)
        for k in (0, 11, 29):
            in_seg, in_det, in_pan = (data[k] for data in sets)
            assert (in_seg['inputs'] == in_det['inputs']).all()
            assert (in_seg['inputs'] == in_pan['inputs']).all()
            labels = in_seg['data_samples'].gt_sem_seg.data[0].numpy()
            things = in_det['data_samples'].gt_instances
            same = in_pan['data_samples'].gt_instances
            assert (things.labels == same.labels).all()
            assert (things.bboxes.tensor == same.bboxes.tensor).all()
            assert (things.masks.masks == same.masks.masks).all()
            for label, mask in zip(things.labels, things.masks.masks.astype(bool)):
                assert {names[0][i] for i in labels[mask]} == {names[1][label]}
            pan_labels = in_pan['data_samples'].gt_sem_seg.sem_seg[0].numpy()
            np.testing.assert_array_equal(np.array(names[2])[pan_labels],
                                          np.array(names[0])[labels])

    @pytest.mark.parametrize('build', [seg, det, panoptic])
    @pytest.mark.parametrize('broken', [b'', b'no picture', 'half'])
    def test_broken_image(self, own, build, broken):
        path = own / 'images/train/000002.png'
        path.write_bytes(path.read_bytes()[:999] if broken == 'half' else broken)
        data = build(own)
        data[1]
        with pytest.raises(ValueError, match='images/train/000002.png'):
            data[2]

    @pytest.mark.parametrize('build, folder', [(seg, 'train'), (panoptic, 'panoptic_train')])
    @pytest.mark.parametrize('broken', [b'', b'no picture', 'half', None])
    def test_broken_annotation(self, own, build, folder, broken):
        path = own / 'annotations' / folder / '000002.png'
        if broken is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:200] if broken == 'half' else broken)
        data = build(own)
        with pytest.raises(ValueError, match=f'annotations/{folder}/000002.png') as error:
            data[2]
        assert error.value.__cause__ is not None

    @pytest.mark.parametrize('build, kind', [(det, 'instances'), (panoptic, 'panoptic')])
    @pytest.mark.parametrize('broken', ['{"images": [', '[]', '{"images": [{"id": 1}], '
                                        '"annotations": [], "categories": []}'])
    def test_broken_json(self, own, build, kind, broken):
        path = own / f'annotations/{kind}_train.json'
        path.write_text(broken)
        with pytest.raises(ValueError, match=f'annotations/{kind}_train.json'):
            build(own)

    @pytest.mark.parametrize('build', [seg, det, panoptic])
    def test_wrong_folder(self, own, build, tmp_path):
        with pytest.raises(FileNotFoundError, match='digit_scenes.py .*nowhere --classes 5'):
            build(tmp_path / 'nowhere')
        (own / 'manifest.json').write_text('{')
        with pytest.raises(ValueError, match='manifest.json'):
            build(own)

    @pytest.mark.parametrize('build, task', [(seg, 'Seg'), (det, 'Det'), (panoptic, 'Panoptic')])
    def test_wrong_number_of_classes(self, folders, build, task):
        with pytest.raises(ValueError, match='of 5 classes.*reads 14.*--classes 14'):
            build(folders[5], name=f'DigitScenes14{task}Dataset')

    def test_no_images(self, own):
        shutil.rmtree(own / 'images/train')
        with pytest.raises(ValueError, match='images/train'):
            seg(own)

    def test_subset_of_classes(self, folders):
        """The hosts' own choice of classes goes on working."""
        only = seg(folders[5], metainfo=dict(classes=('digit', )))
        labels = only[0]['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) == {0, 255}
