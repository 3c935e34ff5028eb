"""Shipped configs of both hosts with their upsampling swapped: a sample here, all as a slow test.

The slow one takes about half an hour on two cores; it goes on where ``work_dirs/sweep`` ends.
"""
import json
import subprocess
import sys
from concurrent.futures import Future
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from mmengine.config import Config
from sweep.table import sweep_table
from sweep.trial import classes_of, key_of, reduced, try_config

REPO = Path(__file__).parents[1]
UPSAMPLERS = dict(DySample=dict(type='DySample'), FADE=dict(type='FADE'))
#: As many classes of the hosts as possible, in models that run within seconds; MORE with the slow
#: tests.
SAMPLE = [
    'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
    'mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'mmdet::solov2/solov2_r50_fpn_1x_coco.py',
    'mmdet::yolact/yolact_r50_1xb8-55e_coco.py',
    'mmseg::segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
    'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
    'mmseg::ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
    'mmseg::erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024.py',
]
MORE = [
    'mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
    'mmdet::pafpn/faster-rcnn_r50_pafpn_1x_coco.py',
    'mmdet::libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
    'mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py',
    'mmdet::scnet/scnet_r50_fpn_1x_coco.py',
    'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
    'mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py',
    'mmseg::hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::icnet/icnet_r50-d8_4xb2-80k_cityscapes-832x832.py',
    'mmseg::bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
    'mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
    'mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
]


def load(name):
    host, path = name.split('::')
    pytest.importorskip(host)
    return Config.fromfile(Path(find_spec(host).origin).parent / '.mim/configs' / path)


@pytest.mark.parametrize('name', [
    *SAMPLE, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_sample(name):
    """Builds, predicts and learns with DySample, with FADE wherever there is a guide, and as if no
    class had a slot."""
    result = try_config(reduced(load(name)), UPSAMPLERS, generic=True)
    failures = {run: (entry['status'], entry['failures'])
                for run, entry in result['runs'].items() if entry['status'] not in (
                    'ok', 'nothing to swap')}
    assert failures == {}
    assert result['runs']['DySample']['status'] == 'ok' and result['runs']['DySample']['swapped']


def test_generic_takes_stages_and_heads_for_classes_without_a_slot():
    """What interpolates: SegFormer's head at 1/32, 1/16 and 1/8, no pooled map of PSPNet's."""
    def run(name):
        return try_config(reduced(load(name)), {}, generic=True)['runs']['generic']
    found = run('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')
    assert found['status'] == 'ok' and found['swapped'] == ['decode_head']
    head, = found['sites']
    assert head['slot'] == 'mmups.Intercept' and head['steps'] == ['6 x 256, x2, no guide']
    found = run('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')
    assert found['status'] == 'nothing to swap' and found['sites'] == []


def test_an_interception_that_reaches_no_upsampler_is_a_failure(monkeypatch):
    """It counts apart from the slots', which take no part in it."""
    monkeypatch.setattr('mmups.models.layers.interpolations._climb',
                        lambda x, size, modules: x.new_zeros((*x.shape[:2], *size)))
    cfg = reduced(load('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'))
    runs = try_config(cfg, dict(DySample=dict(type='DySample')), generic=True)['runs']
    assert [runs[name]['status'] for name in ('DySample', 'generic')] == ['ok', 'failed']
    assert 'no gradient' in runs['generic']['failures']['loss']


def test_runs_share_no_weights_of_other_shapes():
    upsamplers = {str(n): dict(type='DySample', groups=n) for n in (4, 8)}
    cfg = reduced(load('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'))
    runs = try_config(cfg, upsamplers)['runs']
    assert [run['status'] for run in runs.values()] == ['ok'] * 3


def test_same_classes():
    """Backbone, necks and heads; depth and the losses are no matter, another neck is."""
    names = [classes_of(reduced(load(f'mmdet::{name}.py'))) for name in (
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'faster_rcnn/faster-rcnn_r101_fpn_1x_coco',
        'pafpn/faster-rcnn_r50_pafpn_1x_coco')]
    assert names[0] == names[1] != names[2]
    assert {'FPN', 'ResNet', 'RPNHead', 'StandardRoIHead'} <= set(names[0].split())


def test_same_model_same_key():
    """Depth, data and schedule make no other model; another head does."""
    one = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    keys = [key_of(reduced(load(name))) for name in (
        one, one.replace('r50', 'r101').replace('40k', '80k'), one.replace('fcn', 'pspnet'))]
    assert keys[0] == keys[1] != keys[2]


def test_reduction_leaves_the_config_alone():
    cfg = load(SAMPLE[0])
    before = cfg.to_dict()
    reduced(cfg)
    assert cfg.to_dict() == before


def test_a_broken_model_is_told_from_a_broken_swap():
    """The error of the stock model counts apart."""
    cfg = reduced(load('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'))
    cfg.model.bbox_head.type = 'NoSuchHead'
    runs = try_config(cfg, UPSAMPLERS)['runs']
    assert {run['status'] for run in runs.values()} == {'missing package'}
    cfg.model.bbox_head = dict(type='RetinaHead', num_classes=3, in_channels=8)
    runs = try_config(cfg, UPSAMPLERS)['runs']
    assert runs['Interpolate']['status'] == 'ok'
    assert runs['DySample']['status'] == 'stock fails too'
    assert runs['DySample']['failures'].keys() == {'predict', 'loss'}


def test_a_broken_slot_is_a_failure(monkeypatch):
    pytest.importorskip('mmdet')
    from mmdet.models.necks import FPN as HostFPN

    from mmups.models.det import FPN

    def forward(self, inputs):
        if self.upsample_modules[0].guided:
            raise RuntimeError('broken')
        return HostFPN.forward(self, inputs)
    monkeypatch.setattr(FPN, 'forward', forward)
    runs = try_config(reduced(load('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')),
                      UPSAMPLERS)['runs']
    assert runs['FADE']['status'] == 'failed' and 'broken' in runs['FADE']['failures']['predict']
    # The host's forward knows no upsampler: none of its parameters learns.
    assert runs['DySample']['status'] == 'failed'
    assert 'no gradient' in runs['DySample']['failures']['loss'] or (
        'does not require grad' in runs['DySample']['failures']['loss'])


def site(host, path, reason=None, optional=False):
    return dict(host=host, path=path, reason=reason, optional=optional, slot='mmups.X')


def test_table():
    """Numbers are of configs, those that share a model included; of models in the generic run."""
    ok = dict(status='ok', swapped=['neck'], refused={}, failures={})
    bad = dict(status='failed', swapped=['neck'], refused={'head': 'no guide'},
               failures={'loss': 'ValueError: x\ny'})
    generic = dict(bad, swapped=['neck', 'neck2'], refused={'backbone': 'no way'}, sites=[
        site('mmdet.FPN', 'neck'), site('own.Neck', 'neck2'),
        dict(site('mmdet.ViT', 'backbone', 'no way'), slot=None)])
    table = sweep_table([
        dict(config='mmdet::a.py', key='1', status='failed',
             sites=[site('mmdet.FPN', 'neck'), site('mmdet.Head', 'head')],
             runs=dict(DySample=ok, FADE=bad, generic=generic)),
        dict(config='mmdet::b.py', key='1', status='failed'),
        dict(config='mmseg::c.py', status='no model'),
        dict(config='mmseg::d.py', status='missing package', error='ImportError: timm'),
    ])
    assert '| mmdet | 0 | 0 | 2 | 0 | 0 | 0 | 2 |' in table
    assert '| mmseg | 0 | 0 | 0 | 0 | 1 | 1 | 2 |' in table
    assert '| mmdet.FPN | 2 | 2 | 0 | 0 | 2 | 0 | 0 | 0 | 1 |' in table
    assert '| own.Neck | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |' in table
    assert '- 2 x mmdet.Head, FADE: no guide' in table
    assert '- 1 x ImportError: timm' in table
    assert '- loss: ValueError: x y: 2 runs, e.g. FADE in mmdet::a.py' in table
    plain, generic = table.split('## As if no class had a slot: models')
    assert 'ViT' not in plain and '| mmdet | 0 | 0 | 1 | 0 | 0 | 0 | 1 |' in generic
    assert '- neck2 (own.Neck) in mmdet::a.py' in generic and 'neck (' not in generic
    assert '- 1 x mmdet.ViT, any: no way' in generic
    assert '- loss: ValueError: x y: 1 runs, e.g. generic in mmdet::a.py' in generic


def lines_of(out):
    return [json.loads(line) for line in (out / 'results.jsonl').read_text().splitlines()]


class Inline:
    """Runs in this process what the command would give to others."""

    def __init__(self, *args):
        pass

    def shutdown(self):
        pass

    def submit(self, function, *args):
        future = Future()
        future.set_result(function(*args))
        return future


def test_command_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    pytest.importorskip('mmseg')
    monkeypatch.syspath_prepend(REPO / 'tests/sweep')
    spec = spec_from_file_location('tools_sweep', REPO / 'tests/sweep/sweep.py')
    tool = module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, 'ProcessPoolExecutor', Inline)

    def sweep(*args):
        monkeypatch.setattr(sys, 'argv', ['sweep.py', '--out', str(tmp_path), *args])
        tool.main()
        return capsys.readouterr().out

    include = ('--include', 'mmseg::segformer/*mit-b[012]*ade20k*')
    assert '3 configs, 0 of them done, 1 to do' in sweep(*include, '--limit', '1')
    first = lines_of(tmp_path)
    with (tmp_path / 'results.jsonl').open('a') as file:
        file.write('{"config": "half a li')
    assert '3 configs, 1 of them done, 2 to do' in sweep(*include)
    lines = lines_of(tmp_path)
    assert lines[:1] == first and [line['status'] for line in lines] == ['ok'] * 3
    assert ['runs' in line for line in lines] == [True, True, False]  # B2 is B1 with more blocks
    assert ['generic' in line.get('runs', ()) for line in lines] == [True, False, False]
    assert '| mmseg.SegformerHead | 3 | 3 | 3 | 3 |' in (tmp_path / 'table.md').read_text()


@pytest.mark.slow
def test_all():
    """Nothing fails that does not fail without a swap."""
    out = REPO / 'work_dirs/sweep'
    command = [sys.executable, REPO / 'tests/sweep/sweep.py', '--out', out]
    subprocess.run(command, check=True, cwd=REPO)
    failed = [line['config'] for line in lines_of(out) if line['status'] == 'failed']
    assert failed == []
