"""Every config parses; those of the papers build, count, train a step and predict."""
import argparse
import copy
import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS

from mmups.models.upsamplers import BaseUpsampler, build_upsampler

CONFIGS = Path(__file__).parents[1] / 'configs'
FRAGMENTS = sorted(CONFIGS.glob('_base_/upsamplers/*.py'))
MODEL_CONFIGS = sorted(path for path in CONFIGS.glob('*/*.py') if path.parent.name != '_base_')
#: DigitScenes' configs are trained and tested by other tests, and so are those of own networks.
DIGIT_SCENES = [path for path in MODEL_CONFIGS if 'digit-scenes' in path.name]
RESTORATION = [path for path in MODEL_CONFIGS if path.parent.name in ('nafnet', 'restormer')]
PAPER_CONFIGS = [path for path in MODEL_CONFIGS if path not in DIGIT_SCENES + RESTORATION]

# Preset -> type and arguments.
PRESETS = {
    'nearest': dict(type='Interpolate', mode='nearest'),
    'bilinear': dict(type='Interpolate', mode='bilinear'),
    'deconv': dict(type='Deconv', kernel_size=3),
    'pixel-shuffle': dict(type='PixelShuffle', kernel_size=3),
    'dysample': dict(type='DySample', style='lp', groups=4, dyscope=False),
    'dysample-plus': dict(type='DySample', style='lp', groups=4, dyscope=True),
    'dysample-s': dict(type='DySample', style='pl', groups=8, dyscope=False),
    'dysample-s-plus': dict(type='DySample', style='pl', groups=8, dyscope=True),
    'dysample-static': dict(type='DySample', static=True, groups=4),
    'fft': dict(type='FFTUpsample'),
    'freq-avg-up': dict(type='FreqAvgUp'),
    'deconv-2': dict(type='Deconv', kernel_size=2, groups=None),
    'lctc-3': dict(type='LCTC', kernel_size=3, small_kernel_size=None),
    'lctc-7': dict(type='LCTC', kernel_size=7, small_kernel_size=None),
    'lctc-7-3': dict(type='LCTC', kernel_size=7, small_kernel_size=3),
    'lctc-11': dict(type='LCTC', kernel_size=11, small_kernel_size=None),
    'lctc-11-3': dict(type='LCTC', kernel_size=11, small_kernel_size=3),
    'lctc-31-3': dict(type='LCTC', kernel_size=31, small_kernel_size=3),
    'carafe': dict(type='CARAFE', up_kernel=5, up_group=1, compressed_channels=64),
    'dlu': dict(type='DLU', compressed_channels=64, up_kernel=5),
    'lda-aqu': dict(type='LDAAQU', reduction_factor=4, groups=2),
    'lda-aqu-lite': dict(type='LDAAQU', reduction_factor=16, groups=2),
    'resfu': dict(type='ReSFU', embedding_dim=32),
    'indexnet': dict(type='IndexNet', mode='hin', use_nonlinear=True, use_context=True),
    'indexnet-m2o': dict(type='IndexNet', mode='m2o', use_nonlinear=False, use_context=False),
    'a2u': dict(type='A2U'),
    'fade': dict(type='FADE', gating=False),
    'fade-gate': dict(type='FADE', gating=True),
    'fade-lite': dict(type='FADELite', gating=False),
    'fade-lite-gate': dict(type='FADELite', gating=True),
    'sapa-inner': dict(type='SAPA', variant='inner'),
    'sapa-base': dict(type='SAPA', variant='base', embedding_dim=32),
    'sapa-gated': dict(type='SAPA', variant='gated', embedding_dim=32),
    'sapa-deform': dict(type='SAPADeform', num_points=9, groups=4, embedding_dim=32),
    'freqfusion': dict(type='FreqFusion', compressed_channels=64, groups=4),
    'freqfusion-g8': dict(type='FreqFusion', compressed_channels=64, groups=8),
    'freqfusion-panoptic': dict(type='FreqFusion', compressed_channels=64, groups=4, norm=False),
}
# Preset -> parameters and, as the papers count them, weights without biases, of one at C = 256.
PARAMETERS = {
    'nearest': (0, 0), 'bilinear': (0, 0), 'deconv': (590080, 589824),
    'pixel-shuffle': (2360320, 2359296), 'dysample': (8224, 8192),
    'dysample-plus': (16448, 16384), 'dysample-s': (1040, 1024), 'dysample-s-plus': (2080, 2048),
    'dysample-static': (32, 32), 'fft': (0, 0), 'freq-avg-up': (2359297, 2359296),
    'deconv-2': (256 * 5, 256 * 4), 'lctc-3': (256 * 10, 256 * 9),
    'lctc-7': (256 * 50, 256 * 49), 'lctc-7-3': (256 * 60, 256 * 58),
    'lctc-11': (256 * 122, 256 * 121), 'lctc-11-3': (256 * 132, 256 * 130),
    'lctc-31-3': (256 * 972, 256 * 970), 'carafe': (74148, 73984),
    'dlu': (35489, 35392), 'lda-aqu': (39410, 38816), 'lda-aqu-lite': (10250, 9704),
    'resfu': (47570, 45568),
    'indexnet': (2100224, 2099200), 'indexnet-m2o': (1048576, 1048576), 'a2u': (10790, 9728),
    'fade': (47257, 47168), 'fade-gate': (47514, 47424), 'fade-lite': (13075, 13025),
    'fade-lite-gate': (13332, 13281),
    'sapa-inner': (0, 0), 'sapa-base': (17472, 16384), 'sapa-gated': (25953, 24832),
    'sapa-deform': (139808, 139264),
    'freqfusion': (104690, 104192), 'freqfusion-g8': (156610, 156032),
    'freqfusion-panoptic': (104434, 104192),
}
# Weights that the DySample paper counts for 6 upsamplers in SegFormer, 4 in Faster R-CNN (with P6)
# and in DepthFormer, and 3 in Panoptic FPN; printed as 49.2K, 32.7K and so on, 98,304 as 0.1M.
SEGFORMER, P6, PANOPTIC = 'segformer_mit-b1_', 'faster-rcnn_r50_fpn-p6-', 'panoptic-fpn_r50_fpn-'
DEPTH, SEGMENTER = 'depthformer_swin-t_', 'segmenter_vit-s_fcn_'
PAPER = {
    ('dysample', SEGFORMER): 49152, ('dysample', P6): 32768, ('dysample', PANOPTIC): 24576,
    ('dysample-plus', SEGFORMER): 98304, ('dysample-plus', P6): 65536,
    ('dysample-plus', PANOPTIC): 49152,
    ('dysample-s', SEGFORMER): 6144, ('dysample-s', P6): 4096, ('dysample-s', PANOPTIC): 3072,
    ('dysample-s-plus', SEGFORMER): 12288, ('dysample-s-plus', P6): 8192,
    ('dysample-s-plus', PANOPTIC): 6144,
    ('dysample', DEPTH): 46080, ('dysample-plus', DEPTH): 92160, ('dysample-s', DEPTH): 5760,
    ('dysample-s-plus', DEPTH): 11520,
}
R101 = 18992128  # parameters of ResNet-101 more than of ResNet-50


class Stem(NamedTuple):
    """What the configs have in common whose names start alike.

    Attributes:
        slots: Where the upsamplers are.
        sites: Channels of each x2 step and of its guide, in the model's order.
        baseline: Parameters of the stock model; None: count it here.
        host: Package of the stock config.
        factors: Of the steps.
        stock: The stock config where it is not in the host, in configs/_base_/models.
    """
    slots: tuple[str, ...]
    sites: list[tuple[int, Optional[int]]]
    baseline: Optional[int]
    host: str = 'mmdet'
    stock: Optional[str] = None
    factors: tuple[int, ...] = (2, )


FPN3, FPN4 = [(256, 256)] * 3, [(256, 256)] * 4
MASKFORMER = 'maskformer_swin-{}-in22k-384x384-pre_8xb2-160k_ade20k-640x640'
STEMS = {
    'faster-rcnn_r50_fpn-': Stem(('neck', ), FPN3, 41753056),
    'faster-rcnn_r50_fpn-p6-': Stem(('neck', ), FPN4, 47061984),
    'faster-rcnn_r101_fpn-': Stem(('neck', ), FPN3, 41753056 + R101),
    'faster-rcnn_r101_fpn-p6-': Stem(('neck', ), FPN4, 47061984 + R101),
    'mask-rcnn_r50_fpn-': Stem(('neck', ), FPN3, 44396336),
    'mask-rcnn_r50_fpn-p6-': Stem(('neck', ), FPN4, 44396336 + 47061984 - 41753056),
    'mask-rcnn_r101_fpn-': Stem(('neck', ), FPN3, 44396336 + R101),
    'panoptic-fpn_r50_fpn-': Stem(('neck', ), FPN3, 46027110),
    'panoptic-fpn_r50_fpn-p6-': Stem(('neck', ), FPN4, 46027110 + 47061984 - 41753056),
    'panoptic-fpn_r101_fpn-': Stem(('neck', ), FPN3, 46027110 + R101),
    'retinanet_r50_fpn-': Stem(('neck', ), FPN3[:2], 37968692),
    'segformer_mit-b1_': Stem(('decode_head', ), [(256, 256)] * 6, 13716822, 'mmseg'),
    'segnext_mscan-t_': Stem(
        ('decode_head', ), [(256, 160), (256, 64), (160, 64)], None, 'mmseg'),
    'segformer_mit-b1_direct-': Stem(
        ('decode_head', ), FPN3, 13716822, 'mmseg', factors=(8, 4, 2)),
    'maskformer_swin-b-in22k-384x384-pre_': Stem(
        ('decode_head.pixel_decoder', ), FPN3, None, 'mmseg', MASKFORMER.format('b')),
    'maskformer_swin-l-in22k-384x384-pre_': Stem(
        ('decode_head.pixel_decoder', ), FPN3, None, 'mmseg', MASKFORMER.format('l')),
    'mask2former_r50_': Stem(('decode_head.pixel_decoder', ), FPN3[:1], None, 'mmseg'),
    'upernet_r50_': Stem(('decode_head', ), [(512, 512)] * 3, 66516108, 'mmseg'),
    'fpn_r50_': Stem(('neck', 'decode_head'), FPN3 + [(128, 256)] * 6, None, 'mmseg'),
    'deeplabv3plus_r50-d8_': Stem(('decode_head', ), [(512, 48)], None, 'mmseg'),
    DEPTH: Stem(
        ('decode_head', ), [(768, 384), (384, 192), (192, 96), (96, 64)], None, 'mmseg',
        'depthformer_swin-t_2xb8-38400it_nyu-416x544'),
    SEGMENTER: Stem(('neck', ), [(384, 32)], None, 'mmseg', factors=(4, )),
    'unet-s5-d16_': Stem(
        ('backbone', ), [(128, 64), (256, 128), (512, 256), (1024, 512)], 29062886,
        'mmseg'),
}


def parts(path):
    """Stem before the upsampler, its preset, and the rest of the name."""
    presets = '|'.join(sorted(PRESETS, key=len, reverse=True))
    return re.fullmatch(f'(.*?[_-])({presets})(_.*)', path.stem).groups()


def require_host(path):
    """mmseg's transformer heads need mmdet too."""
    stem = STEMS[parts(path)[0]]
    pytest.importorskip(stem.host)
    if 'pixel_decoder' in stem.slots[0]:
        pytest.importorskip('mmdet')


@cache
def parsed(path):
    """Configs of a host take a second each."""
    if isinstance(path, str):
        return Config.fromstring(f"_base_ = ['{path}']", '.py')
    return Config.fromfile(path)


def read(path):
    """A config of ours by its path, or a host's by its name, which may be changed."""
    return copy.deepcopy(parsed(path))


def stock(path):
    """The config that this one inherits."""
    name, _, rest = parts(path)
    stem = STEMS[name]
    if stem.stock:
        return read(CONFIGS / f'_base_/models/{stem.stock}.py')
    base = f'{name.replace("-p6-", "-").replace("_direct-", "").strip("-_")}{rest}'
    cfg = read(f'{stem.host}::{path.parent.name}/{base}.py')
    if name == SEGMENTER:  # which has no place for an upsampler
        cfg.model.backbone.update(type='mmups.WithImage', host='mmseg.VisionTransformer')
        cfg.model.neck = dict(type='mmups.ImageGuidedNeck', in_channels=384)
    return cfg


def at(cfg, slot):
    """The part of a model's config."""
    for key in slot.split('.'):
        cfg = cfg[key]
    return cfg


def offline(cfg):
    """The model's config without pretrained weights, in place."""
    if isinstance(cfg, dict):
        for key, value in list(cfg.items()):
            if key == 'pretrained' or (key == 'init_cfg' and 'Pretrained' in str(value)):
                cfg[key] = None
            else:
                offline(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            offline(value)
    return cfg


def upsamplers_of(model):
    return [m for m in model.modules() if isinstance(m, BaseUpsampler)]


def count(model):
    return sum(p.numel() for p in model.parameters())


# --- all configs ---------------------------------------------------------------------------------


def test_base_names_are_unique():
    """mim looks configs up by their base names."""
    names = Counter(path.name for path in CONFIGS.rglob('*.py'))
    assert [name for name, n in names.items() if n > 1] == []


def test_the_papers_experiments_are_there():
    """DySample's four variants in the models that its paper compares them in, LCTC's pair of
    kernels for three hosts, all methods of the papers' tables."""
    dysample = {'dysample', 'dysample-plus', 'dysample-s', 'dysample-s-plus'}
    lctc = {'lctc-7-3', 'lctc-11-3'}
    tables = dysample | {'deconv', 'pixel-shuffle', 'carafe', 'indexnet', 'a2u', 'fade',
                         'sapa-base'}
    gated = {'fade-gate', 'fade-lite-gate', 'sapa-inner', 'sapa-gated', 'sapa-deform'}
    found = {}
    for path in PAPER_CONFIGS:
        stem, preset, _ = parts(path)
        found.setdefault(stem, set()).add(preset)
    assert found.keys() == STEMS.keys()
    successors = {'dlu', 'lda-aqu', 'resfu'}
    assert found['segformer_mit-b1_'] == (
        tables | gated | lctc | {'indexnet-m2o', 'freqfusion'})
    assert found['segformer_mit-b1_direct-'] == {'resfu'}
    assert found['faster-rcnn_r50_fpn-'] == tables | successors | {'freqfusion'}
    assert found['faster-rcnn_r50_fpn-p6-'] == (
        tables | successors | {'lda-aqu-lite', 'sapa-deform', 'freqfusion'})
    assert found['faster-rcnn_r101_fpn-p6-'] == {'dysample-plus', 'sapa-deform', 'freqfusion-g8'}
    for model, last in (('mask-rcnn', 'freqfusion'), ('panoptic-fpn', 'freqfusion-panoptic')):
        assert found[f'{model}_r50_fpn-'] == tables | lctc | successors | {last}
        assert found[f'{model}_r50_fpn-p6-'] >= successors | {last}
        assert found[f'{model}_r101_fpn-'] == dysample
    for size in 'bl':
        assert found[f'maskformer_swin-{size}-in22k-384x384-pre_'] == {
            'nearest', 'carafe', 'dysample-s-plus'}
    assert found['upernet_r50_'] == {
        'deconv', 'pixel-shuffle', 'carafe', 'fade', 'sapa-deform', 'dysample'}
    assert found[DEPTH] == tables | {'bilinear'}
    assert found[SEGMENTER] == {'resfu'}
    assert found['unet-s5-d16_'] == lctc | {'lctc-7', 'lctc-11', 'lctc-31-3'}


@pytest.mark.parametrize('path', MODEL_CONFIGS, ids=lambda path: path.stem)
def test_parses(path):
    """With the slot under its prefixed name, and without keys that a plugin does not need."""
    cfg = read(path)
    text = path.read_text()
    assert path in RESTORATION or ("type='mmups." in text) == ('_swap_' not in path.name)
    assert 'custom_imports' not in text and cfg.get('default_scope') != 'mmups'
    Config.fromstring(cfg.pretty_text, '.py')


@pytest.mark.parametrize('path', DIGIT_SCENES, ids=lambda path: path.stem)
def test_digit_scenes_report_boundaries(path):
    """Beside the hosts' metrics; of boxes alone there is none."""
    cfg = read(path)
    assert cfg.val_evaluator == cfg.test_evaluator
    evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]
    types = [evaluator.type for evaluator in evaluators]
    if path.parent.name in ('faster_rcnn', 'retinanet', 'rtmdet'):
        assert evaluators[0].metric == 'bbox'
    elif path.parent.name == 'mask_rcnn':
        assert types == ['mmups.BoundaryCocoMetric']
        assert evaluators[0].metric == ['bbox', 'segm', 'boundary']
    elif path.parent.name == 'panoptic_fpn' or path.stem.endswith('-panoptic'):
        assert types == ['mmups.BoundaryPanopticMetric']
    elif path.parent.name == 'depthformer':
        assert types == ['mmups.DepthMetric']
    else:
        assert types == ['IoUMetric', 'mmups.BoundaryIoUMetric']


@pytest.mark.parametrize('path', FRAGMENTS, ids=lambda path: path.stem)
def test_fragment(path):
    """One variable, explained in a comment or a docstring, that builds on 256 channels."""
    cfg = read(path)
    assert list(cfg.keys()) == ['upsampler']
    assert path.read_text().startswith(('#', '"""'))
    module = build_upsampler(cfg.upsampler, 256, guide_channels=256)
    assert type(module).__name__ == cfg.upsampler.type


@pytest.mark.parametrize('name', PRESETS)
def test_preset(name):
    """Arguments and size of the papers' variants."""
    cfg = Config.fromfile(CONFIGS / f'_base_/upsamplers/{name}.py').upsampler
    assert cfg.to_dict() == PRESETS[name]
    module = build_upsampler(cfg, 256, guide_channels=256)
    assert count(module) == PARAMETERS[name][0]
    assert sum(p.numel() for p in module.parameters() if p.dim() > 1) == PARAMETERS[name][1]


def test_every_fragment_is_tested():
    assert {path.stem for path in FRAGMENTS} == PRESETS.keys() == PARAMETERS.keys()


# --- the papers' models --------------------------------------------------------------------------


@pytest.mark.parametrize('path', PAPER_CONFIGS, ids=lambda path: path.stem)
def test_differs_from_stock_in_the_slot_only(path):
    """A comparison with the stock config's number is one of upsamplers, and where it is not
    (P6), the name says so."""
    name, preset, _ = parts(path)
    require_host(path)
    expected = stock(path)
    expected.upsampler = PRESETS[preset]
    for slot in STEMS[name].slots:
        part = at(expected.model, slot)
        host_type = part.type.split('.')[-1]
        mmseg_fpn = host_type == 'FPN' and STEMS[name].host == 'mmseg'
        part.type = 'mmups.SegFPN' if mmseg_fpn else f'mmups.{host_type}'
        part.upsampler = PRESETS[preset]
    if name.endswith('-p6-'):
        expected.model.neck.top_down_extra_levels = True
        expected.model.data_preprocessor.pad_size_divisor = 64
    if name.endswith('_direct-'):
        expected.model.decode_head.direct = True
    if name == SEGMENTER:
        expected.optim_wrapper.paramwise_cfg = dict(
            custom_keys={'_scores': dict(lr_mult=500)})
    assert read(path).to_dict() == expected.to_dict()


def small(cfg, host):
    """The model's config without downloads, cut down to small images and backbones, few RoIs."""
    model = offline(cfg.model)
    model.setdefault('_scope_', host)  # a config of one's own does not say it
    if host == 'mmseg':
        model.data_preprocessor.size = (64, 64)
    if 'batch_augments' in model.data_preprocessor:
        model.data_preprocessor.batch_augments = None
    if 'rpn_head' in model:
        for part in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
            part.update(nms_pre=50, max_per_img=20)
        model.train_cfg.rcnn.sampler.num = 16
        model.test_cfg.rcnn.max_per_img = 5
    if model.backbone.type == 'SwinTransformer':
        model.backbone.update(depths=[1] * 4, num_heads=[1, 2, 4, 8], embed_dims=16)
        model.decode_head.in_channels = [16, 32, 64, 128]
    if model.backbone.type == 'mmups.WithImage':
        model.backbone.num_layers = 1
    if model.backbone.type == 'mmups.DepthFormerSwin':
        model.backbone.depths = [1] * 4
        model.neck.update(num_heads=1, num_points=1)
    return model


def build(path, upsampler=None):
    """The model of a config, cut down; ``upsampler`` instead of its own."""
    require_host(path)
    stem = STEMS[parts(path)[0]]
    model = small(read(path), stem.host)
    if upsampler is not None:
        for slot in stem.slots:
            at(model, slot).upsampler = upsampler
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(model))


def around_slots(path, cfg):
    """The parts of the model that hold the slots, without memory for weights."""
    stem = STEMS[parts(path)[0]]
    model = small(cfg, stem.host)
    with torch.device('meta'):
        return torch.nn.ModuleDict({
            key: MODELS.build(dict(model[key], _scope_=stem.host))
            for key in (slot.split('.')[0] for slot in stem.slots)})


@pytest.mark.parametrize('preset, stem', PAPER, ids=str)
def test_the_papers_numbers(preset, stem):
    """Weights of the upsamplers in the shipped config, without biases."""
    path, = (path for path in PAPER_CONFIGS if parts(path)[:2] == (stem, preset))
    require_host(path)
    modules = upsamplers_of(around_slots(path, read(path)))
    assert sum(p.numel() for m in modules for p in m.parameters() if p.dim() > 1) == (
        PAPER[preset, stem])


@pytest.mark.parametrize('path', PAPER_CONFIGS, ids=lambda path: path.stem)
def test_parameters(path):
    """The upsamplers are in their slot, and all that they add to the stock part around it."""
    name, preset, _ = parts(path)
    require_host(path)
    sites = STEMS[name].sites
    part, host = around_slots(path, read(path)), around_slots(path, stock(path))
    modules = [module for slot in STEMS[name].slots
               for module in upsamplers_of(part.get_submodule(slot))]
    assert modules == [module for key, module in part.named_modules()
                       if isinstance(module, BaseUpsampler) and '.upsample_modules.' in key]
    # Optional sites, as the fusion in UPerHead, keep the host's interpolation.
    expected = {PRESETS[preset]['type']}
    assert {type(m).__name__ for m in modules} - {'Interpolate'} == expected - {'Interpolate'}
    modules = [m for m in modules if type(m).__name__ in expected]
    assert [(m.in_channels, m.guide_channels) for m in modules] == sites
    assert tuple(dict.fromkeys(m.scale_factor for m in modules)) == STEMS[name].factors
    alone = [build_upsampler(PRESETS[preset], channels, guide_channels=guide)
             for channels, guide in sites]
    added = sum(map(count, alone))
    assert sum(map(count, modules)) == added
    # P6 in the top-down path has a lateral and an output convolution that mmdet's FPN has not.
    p6 = 2048 * 256 * 9 + 256 + 256 * 256 * 9 + 256 if name.endswith('-p6-') else 0
    stem = 20384 if name == SEGMENTER else 0  # the convolutions of the image
    assert count(part) == count(host) + p6 + stem + added
    if set(sites) == {(256, 256)}:
        assert added == len(sites) * PARAMETERS[preset][0]
        assert sum(p.numel() for m in modules for p in m.parameters() if p.dim() > 1) == (
            len(sites) * PARAMETERS[preset][1])


@pytest.mark.parametrize('name', [name for name in STEMS if 'r101' not in name])
def test_baseline_parameters(name):
    """With interpolation in the slot the model has the stock model's size."""
    stem = STEMS[name]
    path = next(path for path in PAPER_CONFIGS if parts(path)[0] == name)
    model = build(path, dict(mode='nearest'))
    assert {type(m).__name__ for m in upsamplers_of(model)} == {'Interpolate'}
    baseline = stem.baseline or count(MODELS.build(small(stock(path), stem.host)))
    assert count(model) == baseline


def batch_of(model):
    if hasattr(model, 'decode_head'):
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample
        sample = SegDataSample(metainfo=dict(ori_shape=(64, 64), img_shape=(64, 64)),
                               gt_sem_seg=PixelData(data=torch.randint(0, 19, (1, 64, 64))),
                               gt_depth_map=PixelData(data=torch.rand(1, 64, 64) * 9 + 0.5))
        images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
        return dict(inputs=list(images), data_samples=[sample] * 2)
    from mmdet.testing import demo_mm_inputs
    return demo_mm_inputs(1, (3, 128, 160), num_items=[3], num_classes=80, with_mask=True,
                          with_semantic=True)


def light(path):
    """One of each model, and all of SegFormer's and Mask R-CNN's; the others are slow tests."""
    name = parts(path)[0]
    first = next(p for p in PAPER_CONFIGS if parts(p)[0] == name)
    fast = name in ('segformer_mit-b1_', 'mask-rcnn_r50_fpn-') or (
        path == first and '_r101_' not in name)
    return pytest.param(path, marks=[] if fast else [pytest.mark.slow], id=path.stem)


@pytest.mark.parametrize('path', list(map(light, PAPER_CONFIGS)))
def test_trains_and_predicts(path):
    """Finite losses; the upsamplers start as their paper says; every parameter that is to learn
    has a gradient; one prediction."""
    model = build(path).train()
    model.init_weights()
    modules = upsamplers_of(model)
    for module in modules:
        if type(module).__name__ == 'DySample':
            assert module.offset.weight.std().item() == pytest.approx(0.001, rel=0.1)
    loss, values = model.parse_losses(
        model(**model.data_preprocessor(batch_of(model), True), mode='loss'))
    loss.backward()
    assert all(value.isfinite() for value in values.values())
    assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert all(p.grad.isfinite().all() for m in modules for p in m.parameters())
    assert all(any(p.grad.any() for p in m.parameters()) for m in modules if count(m))

    with torch.no_grad():
        result = model.eval().test_step(batch_of(model))[0]
    if 'pred_sem_seg' in result:
        assert result.pred_sem_seg.shape == (64, 64)
    elif 'pred_depth_map' in result:
        assert result.pred_depth_map.shape == (64, 64)
    elif 'panoptic' in path.name:
        assert result.pred_panoptic_seg.sem_seg.dim() == 3
    else:
        assert result.pred_instances.bboxes.shape[1] == 4
        assert ('masks' in result.pred_instances) == ('mask' in path.name)


# --- other ways to the same ----------------------------------------------------------------------


@pytest.mark.parametrize('options, upsampler', [
    (['upsampler.type=DySample'], dict(style='lp', groups=4)),
    (['upsampler.type=DySample', 'upsampler.style=pl', 'upsampler.groups=8'],
     dict(style='pl', groups=8)),
    (['upsampler.type=LCTC', 'upsampler.small_kernel_size=None'], dict(small=None)),
])
def test_command_line(options, upsampler):
    """A stock config and ``--cfg-options``, which reads numbers and None out of text."""
    pytest.importorskip('mmdet')
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args(['--cfg-options', 'model.neck.type=mmups.FPN',
                              *(f'model.neck.{option}' for option in options)])
    cfg = Config.fromstring("_base_ = ['mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py']", '.py')
    cfg.merge_from_dict(args.cfg_options)
    model = MODELS.build(offline(cfg.model))
    assert len(model.neck.upsample_modules) == 3
    for module in model.neck.upsample_modules:
        assert {key: getattr(module, key) for key in upsampler} == upsampler


@pytest.mark.parametrize('name', [None, 'lctc-7-3', 'nearest'])
def test_sweep(name, tmp_path, monkeypatch):
    """The environment variable chooses the fragment."""
    shutil.copytree(CONFIGS / '_base_/upsamplers', tmp_path / '_base_/upsamplers')
    path = tmp_path / 'segformer' / 'sweep.py'
    path.parent.mkdir()
    path.write_text("""_base_ = [
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    '../_base_/upsamplers/{{$UPSAMPLER:dysample}}.py'
]
model = dict(decode_head=dict(type='mmups.SegformerHead', upsampler=_base_.upsampler))
""")
    pytest.importorskip('mmseg')
    if name is None:
        monkeypatch.delenv('UPSAMPLER', raising=False)
    else:
        monkeypatch.setenv('UPSAMPLER', name)
    cfg = read(path)
    assert cfg.model.decode_head.upsampler.to_dict() == PRESETS[name or 'dysample']
    head = MODELS.build(cfg.model.decode_head)
    assert len(head.upsample_modules) == 6
