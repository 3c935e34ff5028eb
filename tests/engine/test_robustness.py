"""RobustnessTestLoop on small DigitScenes: metrics, files, going on, and what stays as it was."""
import copy
import csv
import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmups.engine.cli import read_config
from mmups.engine.robustness.data import corrupted
from mmups.engine.robustness.loop import summary
from mmups.engine.robustness.plan import Entry, planned_attacks, planned_shifts
from mmups.engine.robustness.record import Record

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

ROOT = Path(__file__).parents[2]
SEG = str(ROOT / 'configs/unet/unet-s4-d8_fcn_swap_1xb8-600it_digit-scenes-128x128.py')
DET = str(ROOT / 'configs/mask_rcnn/mask-rcnn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py')


@pytest.fixture
def config(scenes, tmp_path, monkeypatch):
    """A config of the repository on the first scenes, with settings of the test loop."""

    def config(name, images=2, **test_cfg):
        cfg = read_config(name)
        monkeypatch.chdir(scenes)
        cfg.work_dir = str(tmp_path / 'out')
        cfg.test_cfg = dict(type='mmups.RobustnessTestLoop', **test_cfg)
        cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
        cfg.test_dataloader.dataset.indices = images
        cfg.launcher = 'none'
        cfg.log_level = 'WARNING'
        if 'UNet' in cfg.model.backbone.type:
            cfg.model.backbone.base_channels = 8
            cfg.model.decode_head.update(in_channels=8, channels=8)
            cfg.model.auxiliary_head = None
        return cfg
    return config


def runner_of(cfg):
    torch.manual_seed(0)
    cfg = copy.deepcopy(cfg)
    cfg.experiment_name = f'run{torch.randint(10**9, ()).item()}-{id(cfg)}'
    runner = Runner.from_cfg(cfg)
    torch.manual_seed(0)
    for parameter in runner.model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return runner


def record_of(cfg):
    return json.loads((Path(cfg.work_dir) / 'robustness/robustness.json').read_text())


def test_a_segmentor(config, tmp_path):
    cfg = config(SEG, attacks=['cospgd', 'segpgd', 'fgsm'], eps=[8, 0], steps=[3, 1])
    before = cfg.to_dict()
    runner = runner_of(cfg)
    own = runner.cfg.to_dict()
    runner.model.train()
    state = [module.training for module in runner.model.modules()]
    metrics = runner.test()
    assert cfg.to_dict() == before and runner.cfg.to_dict() == own
    assert [module.training for module in runner.model.modules()] == state
    assert all(parameter.requires_grad for parameter in runner.model.parameters())
    clean = {key.split('/', 1)[1]: value for key, value in metrics.items()
             if key.startswith('clean/')}
    assert clean.keys() >= {'aAcc', 'mIoU', 'mAcc', 'mBIoU'}
    for name in ('cospgd', 'segpgd'):
        for steps in (1, 3):
            unchanged = {key: metrics[f'attack/{name}/linf/{steps}/{key}'] for key in clean}
            assert unchanged == clean
            # the loss grows on a random net; its best class need not
            assert metrics[f'attack/{name}/linf/8/{steps}/aAcc'] <= clean['aAcc']
    folder = tmp_path / 'out/robustness'
    data = json.loads((folder / 'robustness.json').read_text())
    assert data['clean'] == clean
    assert list(data['entries']) == [
        'attack cospgd, linf eps 0, steps 1,3', 'attack cospgd, linf eps 8, steps 1,3',
        'attack segpgd, linf eps 0, steps 1', 'attack segpgd, linf eps 0, steps 3',
        'attack segpgd, linf eps 8, steps 1', 'attack segpgd, linf eps 8, steps 3',
        'attack fgsm, linf eps 0, steps 1', 'attack fgsm, linf eps 8, steps 1']
    with open(folder / 'robustness.csv', newline='') as file:
        table = list(csv.DictReader(file))
    assert len(table) == 11 and table[0]['kind'] == 'clean'
    for line in table[1:]:
        key = '/'.join([line['kind'], line['name'], line['norm'], f'{float(line["eps"]):g}',
                        line['steps']]).replace('/0/', '/')
        assert float(line['mIoU']) == metrics[f'{key}/mIoU']
    assert (folder / 'robustness.png').stat().st_size > 5000


def test_going_on(config, monkeypatch):
    """What is measured is kept through an interruption; what is new is added; no other config."""
    cfg = config(SEG, attacks=['pgd'], eps=[4, 8], steps=[2])
    runner = runner_of(cfg)
    measure = type(runner.test_loop)._measure

    def interrupted(self, entry, *args):
        if entry.eps == 8:
            raise KeyboardInterrupt
        return measure(self, entry, *args)
    monkeypatch.setattr(type(runner.test_loop), '_measure', interrupted)
    state = [module.training for module in runner.model.modules()]
    with pytest.raises(KeyboardInterrupt):
        runner.test()
    assert [module.training for module in runner.model.modules()] == state
    assert all(parameter.requires_grad for parameter in runner.model.parameters())
    assert list(record_of(cfg)['entries']) == ['attack pgd, linf eps 4, steps 2']

    measured = []

    def noted(self, entry, *args):
        measured.append((entry.name, entry.eps))
        return measure(self, entry, *args)
    monkeypatch.setattr(type(runner.test_loop), '_measure', noted)
    cfg.test_cfg.attacks = ['pgd', 'fgsm']
    cfg.test_dataloader.pin_memory = True  # does not change a number
    metrics = runner_of(cfg).test()
    assert measured == [('pgd', 8), ('fgsm', 4), ('fgsm', 8)]
    assert {'attack/pgd/linf/4/2/mIoU', 'attack/fgsm/linf/8/1/mIoU'} <= set(metrics)

    cfg.test_dataloader.dataset.indices = 3
    with pytest.raises(ValueError, match=r'test_dataloader.dataset.indices = 2, and now it is 3'):
        runner_of(cfg).test()
    cfg.test_dataloader.dataset.indices = 2
    other = runner_of(cfg)
    next(other.model.parameters()).data.add_(1)
    with pytest.raises(ValueError, match='measured with weights = .*choose another --work-dir'):
        other.test()


def test_a_detector_attacked_twice(config, tmp_path):
    cfg = config(DET, attacks=['pgd', 'cospgd'], eps=[8], steps=[2], norm='l2')
    runs = []
    for name in 'ab':
        cfg.work_dir = str(tmp_path / name)
        runner = runner_of(cfg)
        with pytest.warns(UserWarning, match='MaskRCNN has nothing per pixel.*cospgd is pgd'):
            runs.append(runner.test())
        torch.rand(5)
    assert runs[0] == runs[1]
    for metric in ('bbox_mAP', 'segm_mAP'):
        kinds = [f'attack/{name}/l2/8/2/coco/{metric}' for name in ('pgd', 'cospgd')]
        assert runs[0][kinds[0]] == runs[0][kinds[1]]


def test_from_another_model_and_longer(config, tmp_path):
    cfg = config(SEG, attacks=['pgd'], eps=[8], steps=[1], long=True)
    source = copy.deepcopy(cfg)
    source.dump(tmp_path / 'source.py')
    weights = tmp_path / 'source.pth'
    torch.save(runner_of(cfg).model.state_dict(), weights)
    cfg.test_cfg.transfer = dict(config=str(tmp_path / 'source.py'), checkpoint=str(weights))
    metrics = runner_of(cfg).test()
    same = [metrics[f'{kind}/pgd/linf/8/1/mIoU'] for kind in ('attack', 'transfer')]
    assert same[0] == same[1]  # the other model is this one
    assert 'long/pgd/linf/8/10/mIoU' in metrics


def test_corruptions(config, scenes):
    pytest.importorskip('imagecorruptions')
    cfg = config(SEG, attacks=[], corruptions=['brightness', 'zoom_blur'], severities=[3])
    runner = runner_of(cfg)
    metrics = runner.test()
    names = [key for key in metrics if key.endswith('mIoU')]
    assert names == ['clean/mIoU', 'corruption/brightness/3/mIoU', 'corruption/zoom_blur/3/mIoU']
    loop = runner.test_loop
    loaders = [runner.build_dataloader(corrupted(loop.loader_cfg, name, 3))
               for name in ('brightness', 'zoom_blur')]
    images = [next(iter(loader))['inputs'][0] for loader in (loop.dataloader, *loaders)]
    assert images[1].float().mean() > images[0].float().mean() + 20
    assert (images[2] != images[0]).float().mean() > 0.5
    text = summary(loop.rows)
    assert '| corruption zoom_blur severity 3 (moves pixels) |' in text
    assert 'mIoU: mPC without moved pixels' in text


def test_shifts(config):
    """Every label of a net that sees one pixel at a time moves with the picture."""
    pytest.importorskip('mmups.evaluation.shift')
    cfg = config(SEG, attacks=[], shifts=[(8, 8), (0.5, 0.5)])
    runner = runner_of(cfg)
    metrics = runner.test()
    assert {key for key in metrics if key.startswith('shift')} == {
        f'shift/{mode}/{name}' for mode in ('circular', 'linear', 'subpixel')
        for name in ('consistency', 'consistency_std')}
    assert all(0 <= metrics[f'shift/{mode}/consistency'] <= 1 for mode in ('circular', 'subpixel'))
    runner.model.inference = lambda inputs, metas: inputs
    measured = runner.test_loop._measure(Entry('shift', 'circular', shifts=((3., 5.), )),
                                         runner.model, None)
    assert measured == {0: dict(consistency=1, consistency_std=0)}
    assert 'shift linear: consistency' in summary(runner.test_loop.rows)
    det = config(DET, attacks=[], shifts=[(1, 1)])
    with pytest.raises(ValueError, match='pixel by pixel, and MaskRCNN gives none'):
        runner_of(det).test_loop._measure(Entry('shift', 'circular', shifts=((1., 1.), )),
                                          runner_of(det).model, None)


def test_plans():
    """One pass for all numbers of steps where the first steps are a shorter attack."""
    entries = list(planned_attacks(['apgd', 'pgd', 'fgsm'], [1, 0.5, 1], [10, 5], 'linf', None,
                                   long=True, transfer=True))
    assert [(entry.kind, entry.name, entry.eps, entry.steps) for entry in entries] == [
        ('attack', 'apgd', 0.5, (5, )), ('attack', 'apgd', 0.5, (10, )),
        ('attack', 'apgd', 1, (5, )), ('attack', 'apgd', 1, (10, )),
        ('attack', 'pgd', 0.5, (5, 10)), ('attack', 'pgd', 1, (5, 10)),
        ('attack', 'fgsm', 0.5, (1, )), ('attack', 'fgsm', 1, (1, )),
        ('long', 'apgd', 0.5, (100, )), ('long', 'apgd', 1, (100, )),
        ('long', 'pgd', 0.5, (100, )), ('long', 'pgd', 1, (100, )),
        ('transfer', 'apgd', 0.5, (10, )), ('transfer', 'apgd', 1, (10, )),
        ('transfer', 'pgd', 0.5, (10, )), ('transfer', 'pgd', 1, (10, )),
        ('transfer', 'fgsm', 0.5, (1, )), ('transfer', 'fgsm', 1, (1, ))]
    with pytest.raises(ValueError, match="no attack 'cwpgd'; attacks are fgsm, pgd"):
        list(planned_attacks(['cwpgd'], [1], [1], 'linf', None, False, False))
    with pytest.raises(ValueError, match='units of 0..255'):
        list(planned_attacks(['pgd'], [0.03], [1], 'linf', None, False, False))


def test_shifts_by_whole_pixels_and_by_parts():
    entries = list(planned_shifts([(1, 0), (0.5, 0.5), (-2, 3)]))
    assert [(entry.name, entry.shifts) for entry in entries] == [
        ('circular', ((1, 0), (-2, 3))), ('linear', ((1, 0), (-2, 3))),
        ('subpixel', ((0.5, 0.5), ))]
    assert len({entry.key for entry in entries}) == 3 and 'by -2,3' in entries[0].key
    assert list(planned_shifts([])) == []


def test_a_record_is_whole_after_each_entry(tmp_path):
    record = Record(tmp_path / 'new/record.json', dict(model=dict(a=1)))
    record.clean = dict(mIoU=50.0)
    entry = Entry('attack', 'pgd', (2, 4), 1, 'linf')
    record.add(entry, {2: dict(mIoU=40.0), 4: dict(mIoU=30.0)})
    record.write()
    again = Record(tmp_path / 'new/record.json', dict(model=dict(a=1)))
    assert entry in again and Entry('attack', 'pgd', (2, ), 1, 'linf') not in again
    assert again.rows() == record.rows()
    assert [(row['steps'], row['metrics']['mIoU']) for row in again.rows()] == [
        (None, 50), (2, 40), (4, 30)]
    with pytest.raises(ValueError, match=r'model.a = 1, and now it is 0 \(2 differences\)'):
        Record(tmp_path / 'new/record.json', dict(model=dict(a=0, b=2)))


@pytest.mark.parametrize('words, message', [
    (('--attacks', 'cwpgd'), "there is no attack 'cwpgd'; attacks are fgsm, pgd"),
    (('--eps', '0.03'), 'eps is in units of 0..255, and 0.03 looks like one of [0, 1]: write 7.65'),
    (('--corruptions', 'rain'), "there is no corruption 'rain'"),
])
def test_mistakes_end_in_one_line(words, message, tool, scenes, tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save({}, weights)
    done = tool('robustness.py', SEG, weights, *words,
                '--work-dir', tmp_path, cwd=scenes, check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith('robustness.py: ')
    assert message in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
