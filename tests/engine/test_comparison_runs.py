"""A run of a comparison, what it measures, what it is refused for; pictures and costs."""
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from comparison_cases import DET, PANOPTIC, comparison_in, tiny  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.structures.mask import BitmapMasks  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmups.engine.cli import read_config  # noqa: E402
from mmups.engine.comparison import pictures, run  # noqa: E402
from mmups.engine.comparison.campaign import duration, state_of  # noqa: E402
from mmups.engine.comparison.check import Problems  # noqa: E402
from mmups.engine.comparison.cost import Size, measure_cost  # noqa: E402
from mmups.engine.comparison.ledger import append, held, read  # noqa: E402
from mmups.engine.comparison.measures import added, split_classes, with_boundaries  # noqa: E402
from mmups.engine.comparison.preview import preview  # noqa: E402
from mmups.engine.label_maps import NONE, label_maps  # noqa: E402
from mmups.engine.model_bench import ModelBench  # noqa: E402


@pytest.fixture
def comparison(scenes, tmp_path, monkeypatch):
    """Of two upsamplers, with an attack, and a finished training of dysample."""
    monkeypatch.chdir(scenes)
    comparison = comparison_in(tmp_path / 'out', robustness=dict(
        attacks=['pgd'], eps=[4.], steps=[1], images=2))
    comparison.settle()
    return comparison


def test_a_run(comparison, monkeypatch):
    """Trained, tested, attacked, a line in the table; interrupted after each step, and not doing
    anything twice. Then the pictures and the costs."""
    trained, folder = [], comparison.folder
    start = run.start_alike
    monkeypatch.setattr(run, 'start_alike', lambda *args: (trained.append(args), start(*args)))

    def interrupted(*args):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(run, 'append', interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.execute(folder, 'dysample', 0)
    assert len(trained) == 1 and read(folder) == []
    assert run.execute(folder, 'dysample', 0) == 0
    assert run.execute(folder, 'dysample', 0) == 0
    assert len(trained) == 1
    row, = read(folder)
    assert (row['upsampler'], row['seed'], row['checkpoint']) == (
        'dysample', 0, 'runs/dysample/seed_0/iter_4.pth')
    state = torch.load(folder / row['checkpoint'], weights_only=True)
    assert state['meta']['iter'] == 4 and 0 < state['meta']['seconds'] <= row['seconds']['train']
    assert any('upsample' in key for key in state['state_dict'])
    assert {'mIoU', 'mBIoU', 'mIoU_boundary'} <= row['metrics'].keys()
    classes = ['brick', 'grass', 'gravel', 'photo', 'digit']
    assert {kind: list(values) for kind, values in row['classes'].items()} == {
        'IoU': classes, 'BIoU': classes}
    # mmseg's own metric rounds to two digits; it and ours count the same pixels
    assert np.nanmean(list(row['classes']['IoU'].values())) == pytest.approx(
        row['metrics']['mIoU'], abs=0.01)
    clean, attacked = row['robustness']
    assert (clean['kind'], attacked['name'], attacked['eps']) == ('clean', 'pgd', 4)
    assert clean['metrics'].keys() == attacked['metrics'].keys() == row['metrics'].keys()
    assert clean['metrics'] != row['metrics']  # of two images instead of four

    assert [run.upsampler for run, _ in pictures.undrawn(comparison)] == ['dysample']
    pictures.draw(folder)
    assert pictures.undrawn(comparison) == []
    meta = json.loads((folder / 'predictions/meta.json').read_text())
    assert meta['kind'] == 'labels' and meta['classes'] == classes and len(meta['palette']) == 5
    with np.load(folder / 'predictions/dysample.npz') as own, \
            np.load(folder / 'predictions/truth.npz') as truth:
        assert own.files == [f'prediction_{index:03d}' for index in range(4)]
        right = [(own[f'prediction_{index:03d}'] == truth[f'truth_{index:03d}']).mean()
                 for index in range(4)]
        assert truth['image_000'].shape == (128, 128, 3) and truth['truth_003'].dtype == np.uint8
    # all images have the same size, and no pixel is ignored
    assert 100 * np.mean(right) == pytest.approx(row['metrics']['aAcc'], abs=0.01)
    text = '\n'.join(preview(comparison, 2, 'here'))
    assert 'dysample, seed 0                    done' in text and 'min for 1 runs' in text

    measure_cost(folder)
    cost = json.loads((folder / 'cost.json').read_text())
    assert cost['conditions']['shape'] == [1, 3, 128, 128]
    base, own = cost['rows']['bilinear'], cost['rows']['dysample']
    assert base['upsampler_parameters'] == 0 < own['upsampler_parameters']
    # UNet's step is followed by a convolution in both
    assert own['parameters'] - base['parameters'] == own['upsampler_parameters']
    assert own['macs'] > base['macs'] > 10**6
    for kind in ('forward', 'forward+backward'):
        low, high = own[kind]['quartiles']
        assert 0 < low <= own[kind]['ratio'] <= high and own[kind]['peak_bytes'] > 0


def test_what_a_killed_process_leaves(tmp_path):
    """Half of a checkpoint, or of the file that names the last one."""
    assert run.latest_checkpoint(tmp_path) is None
    for index, name in enumerate(('iter_2.pth', 'iter_10.pth', 'iter_12.pth', 'best_mIoU_2.pth',
                                  'pretrained.pth')):
        torch.save(dict(state_dict={}, **({} if name == 'pretrained.pth' else
                                          dict(optimizer={}))), tmp_path / name)
        os.utime(tmp_path / name, (index, index))
    content = (tmp_path / 'iter_12.pth').read_bytes()
    (tmp_path / 'iter_12.pth').write_bytes(content[:len(content) // 2])
    (tmp_path / 'last_checkpoint').touch()
    assert run.latest_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')


def test_checkpoints_of_runs(scenes, tmp_path, monkeypatch):
    """Two at least, in the run's own folder."""
    monkeypatch.chdir(scenes)
    hook = 'default_hooks.checkpoint'
    comparison = comparison_in(tmp_path, cfg=tiny(**{f'{hook}.max_keep_ckpts': 1,
                                                     f'{hook}.out_dir': 'elsewhere'}))
    own = comparison.config_of(comparison.runs[0]).default_hooks.checkpoint
    assert own.max_keep_ckpts == 2 and 'out_dir' not in own


def test_a_run_that_another_process_is_at(comparison, monkeypatch):
    monkeypatch.setattr(run, 'measured', None)
    with held(comparison.run('dysample', 0).folder / 'lock'):
        assert run.execute(comparison.folder, 'dysample', 0) == run.BUSY
    assert read(comparison.folder) == []


def test_weights_that_are_given(comparison, scenes, tmp_path):
    """No training; a checkpoint of another upsampler is refused."""
    own = comparison.run('bilinear', 0)
    model = run.build_runner(run.named(comparison.config_of(own), 'test')).model
    path = tmp_path / 'bilinear.pth'
    torch.save(model.state_dict(), path)
    given = comparison_in(tmp_path / 'given', ('bilinear', ), (5, ),
                          checkpoints={'bilinear': str(path)})
    given.settle()
    assert run.execute(given.folder, 'bilinear', 5) == 0
    row, = read(given.folder)
    assert row['checkpoint'] is None and row['seconds']['train'] == 0 and row['robustness'] == []
    assert not list(given.folder.glob('runs/*/*/*.pth'))
    with pytest.raises(Problems) as raised:
        comparison_in(tmp_path / 'bad', ('bilinear', 'dysample', 'carafe'), (0, 1), checkpoints={
            'bilinear': str(tmp_path / 'nowhere.pth'), 'dysample': str(path), 'fade': str(path)})
    text = str(raised.value)
    for part in ('--checkpoints are of one seed', 'fade is none of the --upsamplers',
                 'there is none of carafe', 'nowhere.pth', "no checkpoint of this config's model"):
        assert part in text, part
    assert not (tmp_path / 'bad').exists()


def test_all_problems_at_once(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = read_config(DET)
    with pytest.raises(Problems) as raised:
        comparison_in(tmp_path / 'out', ('nearest', 'dysampl', 'fade', 'nearest'), (0, 0, -1), cfg,
                      robustness=dict(attacks=['foo', 'pgd'], eps=[0.01], steps=[1]),
                      others=['no cluster'])
    text = str(raised.value)
    assert text.startswith('10 problems, and nothing was started:\n- no cluster\n')
    for part in ('nearest is given 2 times', '0 is given 2 times', '-1 is no seed',
                 "no upsampler 'dysampl'", 'fade does not fit site roi_head.mask_head: FADE needs',
                 "no attack 'foo'", 'eps is in units of 0..255', 'data/digit_scenes is not there',
                 'instances_val.json is not there'):
        assert part in text, part
    assert not (tmp_path / 'out').exists()
    comparison = comparison_in(tmp_path / 'out', ('nearest', 'fade'), (0, ), cfg,
                               sites=['neck'], data=False)
    assert comparison.sites == ['neck']
    text = '\n'.join(preview(comparison, 4, 'by submitit, slurm'))
    assert 'neck, mmups.FPN to mmups.FPN' in text and '2, 4 at a time, by submitit' in text
    assert 'nothing is measured yet' in text and not (tmp_path / 'out').exists()


def test_variants_that_are_wrong(tmp_path):
    with pytest.raises(Problems) as raised:
        comparison_in(tmp_path / 'out', ('bilinear', ), data=False, variants=[
            ('a/b', 'bilinear', {'work_dir': 'x'}), ('odd', 'dysampl', {}),
            ('bilinear', 'nearest', {}),
            ('other', 'nearest', {'model.backbone': dict(_delete_=True, type='ResNet', depth=18)})])
    text = str(raised.value)
    assert text.startswith('4 problems, and nothing was started:\n')
    for part in ("--variant: 'a/b' is a folder", "no upsampler 'dysampl'",
                 'bilinear is given 2 times', 'other has no site backbone left with its settings'):
        assert part in text, part
    plan = preview(comparison_in(tmp_path / 'out', ('stock', ), data=False, variants=[
        ('wide', 'bilinear', {'model.decode_head.channels': 16})]), 1, 'here')
    assert 'with:       wide: model.decode_head.channels=16' in list(plan)


def test_costs_of_variants(scenes, tmp_path, monkeypatch):
    """Beside bilinear interpolation in the model that all others have."""
    monkeypatch.chdir(scenes)
    comparison = comparison_in(tmp_path, ('bilinear', 'stock'), variants=[
        ('wide', 'bilinear', {'model.decode_head.channels': 16})])
    bench = ModelBench('unet', comparison.cfg, (32, 32), sites=comparison.sites)
    base, stock, wide = (Size.of(bench, variant) for variant in comparison.variants.values())
    assert stock.parameters == base.parameters and stock.own == base.own == wide.own == 0
    assert stock.beside(base)['macs'] == stock.macs == base.macs
    # a 3x3 convolution 8 -> 16 in place of 8 -> 8, its norm, and 16 -> 5 in place of 8 -> 5
    assert wide.parameters - base.parameters == 8 * 8 * 9 + 2 * 8 + 5 * 8
    assert wide.beside(base)['macs'] == wide.macs > base.macs


def test_sites_and_configs_that_are_wrong(tmp_path):
    cfg = tiny()
    cfg.train_cfg = cfg.test_evaluator = None
    with pytest.raises(Problems) as raised:
        comparison_in(tmp_path, ('bilinear', ), cfg=cfg, sites=['nowhere'], data=False)
    text = str(raised.value)
    assert "no site 'nowhere'" in text and 'no train_cfg' in text and 'no test_evaluator' in text


def test_metrics_of_boundaries():
    iou = [dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=7)]
    assert with_boundaries(iou) == [iou[0], dict(type='mmups.BoundaryIoUMetric', classwise=True,
                                                 ignore_index=7)]
    assert added(iou) == ['BoundaryIoUMetric']
    own = [*iou, dict(type='mmups.BoundaryIoUMetric', width=2)]
    assert with_boundaries(own) == [iou[0], dict(own[1], classwise=True)] and added(own) == []
    boxes = dict(type='CocoMetric', metric='bbox', ann_file='a')
    assert with_boundaries(boxes) == [dict(type='mmups.BoundaryCocoMetric', metric=['bbox'],
                                           classwise=True, ann_file='a')]
    masks = dict(type='mmdet.CocoMetric', metric=['bbox', 'segm'])
    assert with_boundaries(masks)[0]['metric'] == ['bbox', 'segm', 'boundary']
    assert added(masks) == ['BoundaryCocoMetric (boundary AP)']
    assert masks == dict(type='mmdet.CocoMetric', metric=['bbox', 'segm'])
    panoptic = dict(type='CocoPanopticMetric', ann_file='a', seg_prefix='b', outfile_prefix='c')
    assert with_boundaries(panoptic) == [dict(type='mmups.BoundaryPanopticMetric', ann_file='a',
                                              seg_prefix='b')]
    depth = [dict(type='DepthMetric')]
    assert with_boundaries(depth) == depth and added(depth) == []


def test_numbers_of_classes():
    whole, classes = split_classes(
        {'mIoU': 50, 'IoU.traffic.light': np.float64(1), 'BIoU.car': float('nan')},
        [dict(type='IoUMetric')])
    assert whole == dict(mIoU=50) and classes['IoU'] == {'traffic.light': 1}
    assert np.isnan(classes['BIoU']['car'])
    whole, classes = split_classes(
        {'coco/segm_mAP': 0.3, 'coco/hair_drier_precision': 0.1, 'text': 'x'},
        with_boundaries(dict(type='CocoMetric', metric=['bbox', 'segm'])))
    assert whole == {'coco/segm_mAP': 0.3} and classes == {'segm_AP': {'hair_drier': 0.1}}


def test_label_maps_of_semantic_and_panoptic_samples():
    truth = torch.tensor([[[0, 1, 255]]])
    seg = SegDataSample(gt_sem_seg=PixelData(data=truth),
                        pred_sem_seg=PixelData(data=torch.tensor([[[1, 1, 0]]])))
    maps = label_maps(seg, 2)
    assert [labels.tolist() for labels in maps] == [[[0, 1, 255]], [[1, 1, 0]]]
    pan = DetDataSample(gt_sem_seg=PixelData(sem_seg=truth),
                        pred_panoptic_seg=PixelData(sem_seg=torch.tensor([[[2, 3001, 1]]])))
    assert [labels.tolist() for labels in label_maps(pan, 2)] == [[[0, 1, 255]], [[255, 1, 1]]]
    with pytest.raises(ValueError, match='256 classes do not fit'):
        label_maps(seg, 256)
    del seg.pred_sem_seg
    with pytest.raises(ValueError, match=r"can be drawn; .*\['gt_sem_seg'\]"):
        label_maps(seg, 2)


def test_label_maps_of_instances():
    """The best on top, nothing below 0.3; boxes where one side has no masks; true ones resized."""
    def box(top, left, bottom, right, size=4):
        mask = torch.zeros(size, size, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        return mask
    found = InstanceData(
        scores=torch.tensor([0.9, 0.2, 0.5]), labels=torch.tensor([1, 0, 2]),
        bboxes=torch.tensor([[0., 0, 2, 2], [0, 0, 4, 4], [1, 1, 4, 4]]),
        masks=torch.stack([box(0, 0, 1, 1), box(0, 0, 4, 4), box(0, 0, 2, 2)]))
    known = InstanceData(labels=torch.tensor([1, 0]),
                         bboxes=torch.tensor([[0., 0, 1, 1], [0, 0, 2, 2]]),
                         masks=BitmapMasks(np.ones((2, 2, 2), dtype=np.uint8), 2, 2))
    known.masks.masks[0] = box(0, 0, 1, 1, size=2)
    sample = DetDataSample(pred_instances=found, gt_instances=known,
                           metainfo=dict(ori_shape=(4, 4), img_shape=(2, 2)))
    truth, prediction = label_maps(sample, 3, truth_is_original=False)
    assert truth.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    n = NONE
    assert prediction.tolist() == [[1, 2, n, n], [2, 2, n, n], [n, n, n, n], [n, n, n, n]]
    del known.masks
    _, prediction = label_maps(sample, 3, truth_is_original=False)
    assert prediction.tolist() == [[1, 1, n, n], [1, 1, 2, 2], [n, 2, 2, 2], [n, 2, 2, 2]]


def test_the_work_of_all_else_is_that_of_the_baseline():
    base = Size(100, 0, 1000, 50)
    assert Size(130, 30, 1207, 80).beside(base) == dict(
        parameters=130, upsampler_parameters=30, macs=1030)
    assert Size(90, 30, 1207, 80).beside(base)['macs'] == 1207  # it takes another step's place
    assert Size(130, 30, None).beside(base)['macs'] is None


def test_time_that_is_left(comparison):
    """By the mean of the runs that are done; those that failed are not waited for."""
    assert [duration(seconds) for seconds in (0, 61, 4000)] == ['0 min', '2 min', '1 h 7 min']
    assert str(state_of(comparison, 1)) == '0 of 2 runs done'
    append(comparison.folder, dict(upsampler='dysample', seed=0, seconds=dict(train=90, test=30)))
    state = state_of(comparison, 1)
    assert state.left == 120 and str(state) == '1 of 2 runs done, about 2 min left'
    comparison.seeds = [0, 1]
    assert state_of(comparison, 2).left == 240 and state_of(comparison, 3, failed=1).left == 120


def test_what_has_no_classes_is_measured_and_not_drawn(comparison, monkeypatch):
    row = dict(upsampler='bilinear', seed=0, checkpoint='runs/bilinear/seed_0/iter_4.pth')
    path = comparison.folder / row['checkpoint']
    path.parent.mkdir(parents=True)
    path.touch()
    append(comparison.folder, row)

    def refuse(*args):
        raise ValueError('no labels')
    monkeypatch.setattr(pictures, 'tester', lambda cfg, checkpoint: checkpoint)
    monkeypatch.setattr(pictures, 'predict_scenes', refuse)
    assert len(pictures.undrawn(comparison)) == 1
    pictures.draw(comparison.folder)
    assert pictures.undrawn(comparison) == []
    assert (comparison.folder / 'predictions/none.txt').read_text() == 'no labels\n'


@pytest.mark.parametrize(('config', 'metric', 'kind'), [
    (DET, 'coco/boundary_mAP', 'segm_AP'), (PANOPTIC, 'coco_panoptic/boundary_PQ', None)],
    ids=['instances', 'panoptic'])
def test_detectors(config, metric, kind, scenes, tmp_path, monkeypatch):
    """Given weights of a random network that finds something everywhere."""
    monkeypatch.chdir(scenes)
    cfg = read_config(config)
    cfg.log_level = 'WARNING'
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.indices = 2
    cfg.model.test_cfg.rcnn.score_thr = 0.
    weights = tmp_path / 'weights.pth'
    draft = comparison_in(tmp_path / 'draft', ('nearest', ), (0, ), cfg)
    torch.manual_seed(0)
    model = run.build_runner(run.named(draft.config_of(draft.runs[0]), 'test')).model
    torch.save(model.state_dict(), weights)
    comparison = comparison_in(tmp_path / 'out', ('nearest', ), (0, ), cfg,
                               checkpoints=dict(nearest=str(weights)))
    comparison.settle()
    assert run.execute(comparison.folder, 'nearest', 0) == 0
    row, = read(comparison.folder)
    assert metric in row['metrics'] and not any('precision' in key for key in row['metrics'])
    assert list(row['classes'].get(kind, {})) == (['digit'] if kind else [])
    pictures.draw(comparison.folder)
    with np.load(comparison.folder / 'predictions/truth.npz') as truth:
        labels = np.unique(truth['truth_000'])
    assert 0 in labels and set(labels) <= ({0, NONE} if kind else {0, 1, 2, 3, 4, NONE})
    assert Path(comparison.folder / 'predictions/nearest.npz').is_file()
