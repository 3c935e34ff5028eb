"""mmups.BoundaryIoUMetric on small pictures, in the hands of mmengine's Evaluator."""
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, PixelData
from PIL import Image

from mmups.evaluation import BoundaryIoUMetric, boundary_intersect_and_union

CLASSES = ('sky', 'tree', 'sea', 'road')
KEYS = {'mBIoU', 'aAcc_boundary', 'aAcc_interior', 'mIoU_boundary', 'mIoU_interior'}


def picture(seed, shape=(21, 30)):
    rng = np.random.default_rng(seed)
    target = np.kron(rng.integers(0, 3, (4, 5)), np.ones((6, 7), int))[:shape[0], :shape[1]]
    pred = np.roll(target, 1, axis=seed % 2)
    target = target.copy()
    target[3:6, 4:9] = 255
    return torch.from_numpy(pred), torch.from_numpy(target)


def sample(pred, target=None, **meta):
    data = BaseDataElement(metainfo=dict(img_path='a.png', **meta))
    data.pred_sem_seg = PixelData(data=pred.reshape(1, *pred.shape[-2:]))
    if target is not None:
        data.gt_sem_seg = PixelData(data=target.reshape(1, *target.shape[-2:]))
    return data


def evaluate(batches, classes=CLASSES, label_map=None, **kwargs):
    evaluator = Evaluator(dict(type='mmups.BoundaryIoUMetric', **kwargs))
    evaluator.dataset_meta = dict(classes=classes, label_map=label_map)
    for batch in batches:
        evaluator.process(batch)
    return evaluator.evaluate(sum(map(len, batches)))


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    return lines


def test_by_hand(logged):
    """A bar one pixel too far to the right; bands of one pixel, as in test_boundary."""
    target = torch.zeros(1, 5, 7, dtype=torch.uint8)
    target[0, 1:4, 1:4] = 1
    metrics = evaluate([[sample(target.long().roll(1, 2), target)]], CLASSES[:3], width=1)
    # At an edge: the bar but its middle, 8, and its surroundings, 16 pixels. The bar's column 1
    # and the surroundings' column 4 are wrong, 3 pixels each.
    assert metrics == pytest.approx({
        'mBIoU': 50 * (20 / 29 + 4 / 12), 'aAcc_boundary': 100 * 18 / 24, 'aAcc_interior': 100,
        'mIoU_boundary': 50 * (13 / 19 + 5 / 11), 'mIoU_interior': 100})
    assert logged[0].splitlines()[0].endswith('(band of 1 pixels)')
    assert [line.split() for line in logged[0].splitlines()[1:]] == [
        ['BIoU', 'boundary', 'interior'], ['sky', '68.97', '68.42', '100.00'],
        ['tree', '33.33', '45.45', '100.00'], ['sea', 'nan', 'nan', 'nan']]


@pytest.mark.parametrize('kwargs', [
    {}, dict(ratio=0.1), dict(width=2), dict(ignored='background')], ids=str)
def test_is_the_functional_core_over_the_data_set(kwargs):
    """Also pictures of different sizes, which have bands of different widths."""
    pairs = [picture(0), picture(1, (17, 28))]
    counts = [torch.stack(boundary_intersect_and_union(*pair, 4, **kwargs)) for pair in pairs]
    intersect, union = sum(counts).double()
    metrics = evaluate([[sample(*pair) for pair in pairs]], **kwargs)
    assert metrics.keys() == KEYS
    assert metrics['mBIoU'] == pytest.approx(100 * (intersect / union).nanmean().item())


def test_numbers_of_classes():
    """Over the data set, by counting pixels; a class that does not occur has none."""
    pictures = [picture(seed) for seed in (1, 2)]
    metrics = evaluate([[sample(pred, target)] for pred, target in pictures], width=2,
                       classwise=True)
    plain = evaluate([[sample(pred, target)] for pred, target in pictures], width=2)
    assert {key: metrics.pop(key) for key in KEYS} == plain
    for label, name in enumerate(CLASSES[:3]):
        known = [(p[t != 255].tolist(), t[t != 255].tolist()) for p, t in pictures]
        both = sum(a == b == label for p, t in known for a, b in zip(p, t))
        either = sum(label in (a, b) for p, t in known for a, b in zip(p, t))
        assert metrics.pop(f'IoU.{name}') == pytest.approx(100 * both / either)
    bands = [metrics.pop(f'BIoU.{name}') for name in CLASSES[:3]]
    assert np.mean(bands) == pytest.approx(plain['mBIoU'])
    assert metrics.keys() == {'IoU.road', 'BIoU.road'} and np.isnan(list(metrics.values())).all()


def test_batches_do_not_matter():
    samples = [sample(*picture(seed)) for seed in range(4)]
    together = evaluate([samples])
    assert together == evaluate([[each] for each in samples])
    assert together == evaluate([samples[:3], samples[3:]])
    assert together != evaluate([samples[:3]])


def test_padded_samples_are_dropped():
    """A distributed sampler repeats samples to fill the last batch."""
    metric = BoundaryIoUMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    data = [sample(*picture(seed)).to_dict() for seed in (0, 1, 0)]
    metric.process({}, data)
    assert metric.evaluate(2) == evaluate([[sample(*picture(seed)) for seed in range(2)]])


@pytest.mark.parametrize('scope', ['mmengine', 'mmdet', 'mmseg'])
def test_beside_another_metric_in_any_scope(scope):
    config = [dict(type='mmups.BoundaryIoUMetric'),
              dict(type='mmups.BoundaryIoUMetric', ratio=0.1, prefix='wide')]
    with DefaultScope.overwrite_default_scope(scope):
        evaluator = Evaluator(config)
    evaluator.dataset_meta = dict(classes=CLASSES)
    evaluator.process([sample(*picture(0))])
    metrics = evaluator.evaluate(1)
    assert metrics.keys() == KEYS | {f'wide/{key}' for key in KEYS}
    assert metrics['mBIoU'] != metrics['wide/mBIoU']


def test_with_the_samples_and_the_metric_of_mmseg():
    """Pixels at edges and inside, taken together, are those of mmseg's accuracy."""
    pytest.importorskip('mmseg')
    from mmseg.structures import SegDataSample
    evaluator = Evaluator([dict(type='mmseg.IoUMetric'),
                           dict(type='mmups.BoundaryIoUMetric', width=10**6)])
    evaluator.dataset_meta = dict(classes=CLASSES)
    pred, target = picture(3)
    data = SegDataSample(metainfo=dict(img_path='a.png'))
    data.pred_sem_seg, data.gt_sem_seg = PixelData(data=pred[None]), PixelData(data=target[None])
    evaluator.process([data])
    metrics = evaluator.evaluate(1)
    assert np.isnan(metrics['aAcc_interior'])  # the band is all of the picture
    for key in ('aAcc', 'mIoU'):
        assert metrics[f'{key}_boundary'] == pytest.approx(metrics[key], abs=0.005)
    assert metrics['mBIoU'] == pytest.approx(metrics['mIoU'], abs=0.005)


@pytest.mark.parametrize('mode', ['L', 'P'])
def test_reads_the_ground_truth(mode, tmp_path):
    """Where the pipeline has not loaded it: as mmseg does, grey and with a palette."""
    pred, target = picture(0)
    image = Image.fromarray(target.numpy().astype(np.uint8), mode='L')
    if mode == 'P':
        image.putpalette([i // 3 * 7 % 256 for i in range(768)])
    image.save(tmp_path / 'a.png')
    read = sample(pred, seg_map_path=str(tmp_path / 'a.png'))
    assert evaluate([[read]]) == evaluate([[sample(pred, target)]])


def test_reads_what_mmseg_reads(tmp_path):
    """0 as no label, and classes in another order."""
    loading = pytest.importorskip('mmseg.datasets.transforms.loading')
    stored = np.random.default_rng(0).integers(0, 5, (12, 15)).astype(np.uint8)
    stored[0, :2] = 254, 255
    Image.fromarray(stored).save(tmp_path / 'a.png')
    label_map = {0: 2, 1: 255, 2: 0, 3: 1, 253: 255}
    results = dict(seg_map_path=str(tmp_path / 'a.png'), seg_fields=[], reduce_zero_label=True,
                   label_map=label_map)
    expected = loading.LoadAnnotations()(results)['gt_seg_map']
    pred = torch.from_numpy(np.random.default_rng(1).integers(0, 3, (12, 15)))
    read = sample(pred, seg_map_path=str(tmp_path / 'a.png'), reduce_zero_label=True)
    assert evaluate([[read]], CLASSES[:3], label_map) == evaluate(
        [[sample(pred, torch.from_numpy(expected))]], CLASSES[:3])


def test_no_class_occurs():
    pred, target = picture(0)
    metrics = evaluate([[sample(pred, target * 0 + 255)]])
    assert all(np.isnan(value) for value in metrics.values())


@pytest.mark.parametrize('data, message', [
    (dict(img_path='a.png'), r"image 'a.png': the sample has no pred_sem_seg; its keys are \["),
    (dict(img_path='b.png', pred_sem_seg=dict(data=torch.zeros(1, 2, 2).long())),
     "image 'b.png': the sample has no gt_sem_seg and no seg_map_path; LoadAnnotations"),
    (dict(pred_sem_seg=dict(data=torch.zeros(1, 2, 2).long()),
          gt_sem_seg=dict(data=torch.zeros(1, 3, 2).long())),
     r'image None: .*\(2, 2\) and \(3, 2\)'),
    (dict(pred_sem_seg=dict(data=torch.zeros(1, 2, 2).long()),
          gt_sem_seg=dict(data=torch.full((1, 2, 2), 4))), 'ground truth holds labels 4'),
], ids=['prediction', 'truth', 'size', 'label'])
def test_bad_samples(data, message):
    metric = BoundaryIoUMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(ValueError, match=message):
        metric.process({}, [data])


def test_picture_in_the_place_of_labels(tmp_path):
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=r'a\.png is no map of labels: its pixels have 3 values'):
        evaluate([[sample(torch.zeros(2, 2).long(), seg_map_path=str(tmp_path / 'a.png'))]])


@pytest.mark.parametrize('bad', [dict(ratio=-1), dict(width=0), dict(ignored='x')], ids=str)
def test_bad_arguments(bad):
    with pytest.raises(ValueError, match='must be'):
        BoundaryIoUMetric(**bad)
