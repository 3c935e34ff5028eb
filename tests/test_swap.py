"""Listing and swapping what models upsample: any config in, the same one with another upsampler."""
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS as ROOT

import mmups
from mmups.child_config import child_config
from mmups.engine.cli import read_config
from mmups.models.layers import SLOT_OF, UpsamplingSlot
from mmups.models.layers import Step as SlotStep
from mmups.models.upsamplers import BaseUpsampler
from mmups.swap import REFUSED, Step, list_sites, swap_upsampler

REPO = Path(__file__).parents[1]
MASK_RCNN = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
SEGFORMER = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'
PANOPTIC = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
OWN = REPO / 'configs/segformer/segformer_mit-b1_dysample_8xb2-160k_ade20k-512x512.py'
DYSAMPLE = dict(type='DySample')
FADE = dict(type='FADE')


def read(name):
    pytest.importorskip('mmseg' if 'segformer' in str(name) else str(name).split('::')[0])
    return read_config(str(name))


def by_path(cfg, upsampler=None):
    return {site.path: site for site in list_sites(cfg, upsampler)}


def toy(**model):
    """A config of mmdet whose model has these parts."""
    pytest.importorskip('mmdet')
    return Config(dict(default_scope='mmdet', model=dict(type='MaskRCNN', **model)))


FPN = dict(type='FPN', in_channels=[8, 16, 32], out_channels=16, num_outs=3)


# --- listing -------------------------------------------------------------------------------------


def test_exported_lazily():
    assert mmups.swap_upsampler is swap_upsampler and mmups.list_sites is list_sites
    with pytest.raises(AttributeError, match='no attribute .swap_upsamplers'):
        _ = mmups.swap_upsamplers


def test_sites_of_mask_rcnn():
    sites = by_path(read(MASK_RCNN))
    assert list(sites) == ['neck', 'roi_head.mask_head']
    neck, mask_head = sites.values()
    assert (neck.host, neck.slot, neck.key) == ('mmdet.FPN', 'mmups.FPN', 'upsampler')
    assert neck.steps == (Step(256, 2, 256, count=3), )
    assert mask_head.steps == (Step(256, 2, None, count=1), )
    assert mask_head.config_key == 'model.roi_head.mask_head.upsampler'
    assert all(site.reason is None and not site.optional for site in sites.values())
    assert str(neck.steps[0]) == '3 x 256, x2, guide 256'
    assert str(mask_head.steps[0]) == '1 x 256, x2, no guide'


def test_sites_of_segformer():
    """The final logits are a site of the same module, and optional."""
    sites = by_path(read(SEGFORMER))
    assert sites['decode_head'].steps == (Step(256, 2, 256, count=6), )
    assert not sites['decode_head'].optional
    assert sites['decode_head.logits_upsampler'].steps == (Step(256, 2, None, count=1), )
    assert sites['decode_head.logits_upsampler'].optional


def test_site_that_cannot_take_the_method():
    sites = by_path(read(PANOPTIC), FADE)
    assert sites['neck'].reason is None
    for path in ('roi_head.mask_head', 'semantic_head'):
        assert 'FADE needs a guide, and this slot has none' in sites[path].reason


def test_lists_of_modules():
    """Cascades have a list of heads, and configs a list of necks."""
    head = dict(type='FCNMaskHead', in_channels=16, conv_out_channels=16, num_convs=1)
    cfg = toy(neck=[FPN, dict(FPN, in_channels=[16] * 3)], roi_head=dict(mask_head=[head, head]))
    assert list(by_path(cfg)) == ['neck.0', 'neck.1', 'roi_head.mask_head.0',
                                  'roi_head.mask_head.1']


def test_scopes():
    """A class is found under its prefix, and in the scope that a foreign base left."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    own = dict(FPN)
    foreign = Config(dict(default_scope='mmseg', model=dict(type='X', neck=dict(
        FPN, type='mmdet.FPN'), aux=dict(own, _scope_='mmdet'))))
    assert [site.host for site in list_sites(foreign)] == ['mmdet.FPN'] * 2


def test_nothing_to_swap_is_listed():
    site = by_path(toy(neck=dict(FPN, in_channels=[8], num_outs=1)))['neck']
    assert site.reason.startswith('nothing to swap') and site.steps == ()


def test_a_broken_module_is_listed():
    site = by_path(toy(neck=dict(FPN, in_channels=None)))['neck']
    assert site.reason.startswith('cannot be built: ')


@pytest.fixture
def slots(monkeypatch):
    """Adds slots for the test's own classes."""
    table = dict(SLOT_OF)
    for name in ('mmups.swap.SLOT_OF', ):
        monkeypatch.setattr(name, table)
    names = []

    def add(host, slot):
        for cls in (host, slot):
            mmups.registry.MODELS.register_module(module=cls)
            names.append(cls.__name__)
        table[host] = slot
    yield add
    for name in names:
        mmups.registry.MODELS.module_dict.pop(name)


class HostNeck(torch.nn.Module):

    def __init__(self, channels=8):
        super().__init__()
        self.channels = channels


class SlotNeck(UpsamplingSlot, HostNeck):
    """Upsamples by what the backbone's strides say, and has two optional sites."""

    optional = ('fusion', 'logits')

    def __init__(self, channels=8, scale_factor=2, **kwargs):
        self.scale_factor = scale_factor
        super().__init__(channels, **kwargs)

    def host_steps(self):
        return [SlotStep(self.channels, factor=self.scale_factor, key=key)
                for key in ('upsampler', 'fusion')]

    @classmethod
    def site_args(cls, cfg, sizes):
        assert cfg.type == 'mmups.HostNeck'
        return dict(scale_factor=sizes()[0][0] // sizes()[-1][0])


def test_options_that_depend_on_the_rest_of_the_model(slots):
    """``site_args`` gets the sizes of the maps that reach the module; NoSite says that a key is
    not for these arguments."""
    pytest.importorskip('mmdet')
    slots(HostNeck, SlotNeck)
    backbone = dict(type='ResNet', depth=18, out_indices=(1, 3), init_cfg=None)
    cfg = toy(backbone=backbone, neck=dict(type='mmups.HostNeck', channels=16))
    sites = by_path(cfg)
    assert list(sites) == ['neck', 'neck.fusion', 'neck.logits']
    assert sites['neck'].reason is None
    assert sites['neck'].steps == sites['neck.fusion'].steps == (Step(16, 4, None), )
    assert sites['neck.logits'].reason == (
        'nothing to swap: SlotNeck has no upsampling step for logits; it has steps for fusion, '
        'upsampler')
    swapped = swap_upsampler(cfg, DYSAMPLE, 'all').model.neck
    assert swapped == dict(type='mmups.SlotNeck', channels=16, scale_factor=4, upsampler=DYSAMPLE,
                           fusion=DYSAMPLE)
    assert by_path(cfg, dict(type='A2U'))['neck'].reason is not None


def test_a_module_that_its_parent_completes(slots):
    """Mask2Former's head hands its pixel decoder the channels: built alone, it fails."""
    class HostPart(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.channels = channels

    class SlotPart(UpsamplingSlot, HostPart):
        def host_steps(self):
            return [SlotStep(self.channels, host=dict(mode='nearest'))]

    class Parent(torch.nn.Module):
        def __init__(self, part):
            super().__init__()
            self.part = ROOT.build(dict(part, channels=24))

    slots(HostPart, SlotPart)
    mmups.registry.MODELS.register_module(module=Parent)
    try:
        cfg = toy(head=dict(type='mmups.Parent', part=dict(type='mmups.HostPart')))
        site = by_path(cfg, DYSAMPLE)['head.part']
        assert site.steps == (Step(24, 2, None), ) and site.reason is None
        reason = by_path(cfg, dict(type='DySample', groups=5))['head.part'].reason
        assert 'in_channels=24, groups=5' in reason
    finally:
        mmups.registry.MODELS.module_dict.pop('Parent')


@pytest.mark.parametrize('name', mmups.presets())
def test_names_of_presets(name):
    """As in the files, and in a swap the same as what they hold."""
    preset = mmups.presets()[name]
    fragment = REPO / f'configs/_base_/upsamplers/{name}.py'
    assert preset == Config.fromfile(fragment).upsampler.to_dict()
    neck = swap_upsampler(toy(neck=dict(FPN, out_channels=32)), name).model.neck
    assert neck.type == 'mmups.FPN' and neck.upsampler == preset


def test_names_of_types():
    assert swap_upsampler(toy(neck=FPN), 'DySample').model.neck.upsampler == DYSAMPLE


def test_subclasses_and_refused_classes_say_why():
    pytest.importorskip('mmdet')
    from mmdet.models.necks import FPN as HostFPN
    from mmdet.registry import MODELS

    class MyFPN(HostFPN):
        pass

    MODELS.register_module(module=MyFPN)
    try:
        cfg = toy(neck=dict(FPN, type='MyFPN'), roi_head=dict(grid_head=dict(type='GridHead')))
        neck, grid = list_sites(cfg)
    finally:
        MODELS.module_dict.pop('MyFPN')
    assert neck.reason == 'a subclass of FPN that has no slot of its own' and neck.slot is None
    assert grid.reason == REFUSED['mmdet.GridHead']


@pytest.mark.parametrize('name', REFUSED)
def test_refused_classes_exist(name):
    pytest.importorskip(name.split('.')[0])
    assert ROOT.get(name) is not None


def test_listing_leaves_no_trace():
    """Neither in the config nor in the stream of random numbers."""
    cfg = read(MASK_RCNN)
    before, state = cfg.to_dict(), torch.get_rng_state()
    list_sites(cfg, FADE)
    assert cfg.to_dict() == before
    assert torch.equal(torch.get_rng_state(), state)


# --- swapping ------------------------------------------------------------------------------------


def test_default_sites():
    """Every default site that can take the method; the input stays as it was."""
    cfg = read(PANOPTIC)
    stock = cfg.to_dict()
    swapped = swap_upsampler(cfg, DYSAMPLE)
    assert cfg.to_dict() == stock
    model = swapped.model
    for part in (model.neck, model.roi_head.mask_head, model.semantic_head):
        assert part.type.startswith('mmups.') and part.upsampler == DYSAMPLE
    with pytest.warns(UserWarning, match='_head.upsampler stays as it is: FADE needs a guide'):
        model = swap_upsampler(cfg, FADE).model
    assert model.neck.type == 'mmups.FPN'
    assert model.semantic_head == cfg.model.semantic_head
    assert model.roi_head == cfg.model.roi_head


@pytest.mark.parametrize('sites, keys', [
    ('default', {'upsampler'}), ('all', {'upsampler', 'logits_upsampler'}),
    (['decode_head.logits_upsampler'], {'logits_upsampler'}), ('decode_head', {'upsampler'}),
])
def test_chosen_sites(sites, keys):
    head = swap_upsampler(read(SEGFORMER), DYSAMPLE, sites).model.decode_head
    assert {key for key, value in head.items() if value == DYSAMPLE} == keys


def test_swapped_again():
    """A config of mmups: the old method's arguments go."""
    cfg = read(OWN)
    head = swap_upsampler(cfg, FADE).model.decode_head
    assert head.type == 'mmups.SegformerHead' and head.upsampler == FADE


def test_an_upsampler_of_ones_own():
    class Mine(BaseUpsampler):
        def upsample(self, x, guide):
            return x
    assert swap_upsampler(read(MASK_RCNN), dict(type=Mine)).model.neck.upsampler.type is Mine


@pytest.mark.parametrize('upsampler, sites, error, message', [
    (dict(type='DySample', group=4), 'default', TypeError,
     r"^model.neck.upsampler: DySample does not take \['group'\]; its keys are .*groups"),
    (dict(type='DySampel'), 'default', ValueError,
     "^model.neck.upsampler: .*'DySampel' is not an upsampler.*DySample"),
    ('dysampel', 'default', ValueError,
     r"^model.neck.upsampler: there is no upsampler 'dysampel'; types: .*presets: a2u, "),
    (['DySample'], 'default', ValueError,
     r"^model.neck.upsampler: .*dict such as .* got \['DySample'\]"),
    (dict(type='DySample', style='lp2'), 'default', ValueError,
     "^there is nothing to swap; model.neck.upsampler: style must be .*; model.roi_head.*style"),
    (FADE, ['neck', 'roi_head.mask_head'], ValueError,
     '^model.roi_head.mask_head.upsampler: FADE needs a guide'),
    (DYSAMPLE, ['backbone'], ValueError,
     "^this model has no site 'backbone'; its sites: neck, roi_head.mask_head$"),
])
def test_mistakes(upsampler, sites, error, message):
    with pytest.raises(error, match=message):
        swap_upsampler(read(MASK_RCNN), upsampler, sites)


def test_nothing_in_the_model():
    with pytest.raises(ValueError, match='^there is nothing to swap$'):
        swap_upsampler(toy(backbone=dict(type='ResNet', depth=18)), DYSAMPLE)
    with pytest.raises(ValueError, match='has no model'):
        swap_upsampler(Config(dict(lr=1)), DYSAMPLE)


# --- the child config and the command ------------------------------------------------------------


@pytest.mark.parametrize('name', [MASK_RCNN, SEGFORMER, OWN, PANOPTIC], ids=str)
@pytest.mark.parametrize('sites', ['default', 'all'])
def test_child_config(name, sites, tmp_path):
    cfg = read(name)
    swapped = swap_upsampler(cfg, dict(type='LCTC', kernel_size=7), sites)
    path = tmp_path / 'child.py'
    path.write_text(child_config(str(name), cfg, swapped))
    assert Config.fromfile(path).to_dict() == swapped.to_dict()


def test_child_config_restates_lists(tmp_path):
    head = dict(type='FCNMaskHead', in_channels=16, conv_out_channels=16, num_convs=1)
    cfg = toy(neck=dict(FPN, upsampler=None), roi_head=dict(mask_head=[head, dict(head)]))
    cfg.dump(tmp_path / 'base.py')
    swapped = swap_upsampler(cfg, DYSAMPLE, ['neck', 'roi_head.mask_head.1'])
    assert [entry.type for entry in swapped.model.roi_head.mask_head] == [
        'FCNMaskHead', 'mmups.FCNMaskHead']
    path = tmp_path / 'child.py'
    path.write_text(child_config('base.py', cfg, swapped))
    assert Config.fromfile(path).model.to_dict() == swapped.model.to_dict()


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """``command(*args)``: what tools/swap.py printed, run in an empty directory."""
    spec = spec_from_file_location('tools_swap', REPO / 'tools/swap.py')
    tool = module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.chdir(tmp_path)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['swap.py', *map(str, args)])
        tool.main()
        return capsys.readouterr().out
    return run


def test_command_lists(command, tmp_path):
    out = command(MASK_RCNN)
    assert re.search(r'^neck +mmdet.FPN +3 x 256, x2, guide 256 +default$', out, re.M)
    out = command(MASK_RCNN, 'fade', '--dry-run')
    assert "\n_base_ = 'mmdet::mask_rcnn" in out
    assert re.search(r'^roi_head.mask_head .* no: FADE needs a guide', out, re.M)
    assert list(tmp_path.iterdir()) == []


def test_command_writes(command, tmp_path):
    """A file that loads from where it lies, and that is not overwritten."""
    args = (OWN, 'DySample', '--upsampler-options', 'groups=8', '--sites', 'all')
    assert f'{OWN.stem}_dysample.py written' in command(*args)
    path, = tmp_path.iterdir()
    upsampler = dict(type='DySample', groups=8)
    assert Config.fromfile(path).model.to_dict() == swap_upsampler(
        read(OWN), upsampler, 'all').model.to_dict()
    path.write_text('precious')
    with pytest.raises(SystemExit, match=f'^swap.py: {path.name} exists; .* --force'):
        command(*args)
    assert path.read_text() == 'precious'
    command(*args, '--force')
    assert path.read_text().startswith('_base_')


def test_command_trains(command, monkeypatch):
    """Hands the new config and what is left of the arguments to tools/train.py."""
    calls = []
    monkeypatch.setattr('subprocess.call', lambda line: calls.append(line) or 3)
    with pytest.raises(SystemExit, match='^3$'):
        command(SEGFORMER, 'dysample', '--out', 'x.py', '--train', '--work-dir', 'w',
                '--cfg-options', 'train_cfg.max_iters=1')
    assert [str(word) for word in calls[0][1:]] == [
        str(REPO / 'tools/train.py'), 'x.py', '--work-dir', 'w', '--cfg-options',
        'train_cfg.max_iters=1']


@pytest.mark.parametrize('args, message', [
    (('nowhere.py', ), "^swap.py: there is no config 'nowhere.py'; give a path"),
    ((OWN, 'dysampel'),
     "^swap.py: there is no upsampler 'dysampel'; types: .*DySample.*presets: .*fade"),
    ((OWN, 'DySample', '--out', f'{OWN}/x.py'), f'^swap.py: .*{OWN.name}'),
    ((OWN, 'FADE', '--sites', 'neck'),
     "^swap.py: this model has no site 'neck'; its sites: decode_head, "),
], ids=['config', 'upsampler', 'out', 'site'])
def test_command_mistakes(args, message, command):
    """One readable line."""
    pytest.importorskip('mmseg')
    with pytest.raises(SystemExit, match=message) as error:
        command(*args)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('args', [('--work-dir', 'x'), ('--train', '--dry-run')])
def test_command_usage(args, command, capsys):
    with pytest.raises(SystemExit, match='^2$'):
        command(OWN, 'DySample', *args)
    assert re.search('unrecognized arguments: --work-dir x|--train needs', capsys.readouterr().err)


# --- whole models --------------------------------------------------------------------------------


def offline(cfg):
    """The config without pretrained weights, in place."""
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


def mask_rcnn():
    cfg = read(MASK_RCNN)
    model = offline(cfg.model)
    model.backbone.depth = 18
    model.neck.update(in_channels=[64, 128, 256, 512], out_channels=32)
    model.rpn_head.update(in_channels=32, feat_channels=32)
    for head in ('bbox', 'mask'):
        model.roi_head[f'{head}_roi_extractor'].out_channels = 32
        model.roi_head[f'{head}_head'].in_channels = 32
    model.roi_head.bbox_head.fc_out_channels = 32
    model.roi_head.mask_head.update(conv_out_channels=32, num_convs=1, num_classes=80,
                                    upsample_cfg=dict(type='bilinear', scale_factor=2))
    for part in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
        part.update(nms_pre=50, max_per_img=20)
    model.test_cfg.rcnn.update(score_thr=0, max_per_img=5)
    return cfg


def segformer():
    cfg = read(SEGFORMER)
    model = offline(cfg.model)
    model.backbone.update(embed_dims=16, num_layers=[1, 1, 1, 1])
    model.decode_head.update(in_channels=[16, 32, 80, 128], channels=32, num_classes=7,
                             norm_cfg=dict(type='BN'))
    model.data_preprocessor.size = (64, 64)
    return cfg


def detect(model, image):
    """Features, boxes and masks of the most certain objects."""
    from mmdet.structures import DetDataSample
    shape = tuple(image.shape[2:])
    sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1, 1)))
    found = model(image, [sample], mode='predict')[0].pred_instances
    return [*model.extract_feat(image), found.bboxes, found.scores, found.masks]


def segment(model, image):
    return [model(image, mode='tensor')]


#: Name -> its config with shrunk widths, what the host interpolates with, site by site, and what
#: of its outputs is compared.
WHOLE = {
    'mask_rcnn': (mask_rcnn, {'neck': dict(mode='nearest'),
                              'roi_head.mask_head': dict(mode='bilinear')}, detect),
    'segformer': (segformer, {'decode_head': dict(mode='bilinear')}, segment),
}


def build(cfg):
    torch.manual_seed(0)
    model = revert_sync_batchnorm(ROOT.build(dict(cfg.model, _scope_=cfg.default_scope)))
    model.init_weights()
    return model.eval()


@pytest.mark.parametrize('name', WHOLE)
def test_stock_checkpoint_loads(name):
    """It lacks the upsamplers and nothing else."""
    cfg = WHOLE[name][0]()
    stock, model = build(cfg), build(swap_upsampler(cfg, DYSAMPLE))
    missing, unexpected = model.load_state_dict(stock.state_dict(), strict=False)
    assert missing and all('upsample_modules.' in key for key in missing)
    assert unexpected == []


@pytest.mark.parametrize('name', WHOLE)
def test_equals_stock_with_the_hosts_interpolation(name):
    """The outputs of the whole model, bit by bit, on an odd size."""
    make, modes, run = WHOLE[name]
    cfg = make()
    swapped = cfg
    for site, upsampler in modes.items():
        swapped = swap_upsampler(swapped, upsampler, [site])
    stock, model = build(cfg), build(swapped)
    assert any(isinstance(m, BaseUpsampler) for m in model.modules())
    model.load_state_dict(stock.state_dict())
    image = torch.randn(1, 3, 75, 107)
    with torch.no_grad():
        outs, expected = run(model, image), run(stock, image)
    assert len(outs) == len(expected) > 0
    assert all(out.numel() for out in outs)
    assert all(map(torch.equal, outs, expected))


def test_whole_segformer_compiles():
    model = build(swap_upsampler(segformer(), DYSAMPLE))
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = model(image, mode='tensor')
        out = torch.compile(model, backend='eager')(image, mode='tensor')
    torch.testing.assert_close(out, expected)


# --- classes without a slot ----------------------------------------------------------------------


class OwnNeck(torch.nn.Module):
    """Of a third party: sums two maps, the coarser one upsampled."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(c, out_channels, 1) for c in in_channels)

    def forward(self, inputs):
        fine, coarse = (conv(x) for conv, x in zip(self.convs, inputs))
        return (fine + torch.nn.functional.interpolate(coarse, scale_factor=2.0), )


@pytest.fixture
def own_classes():
    pytest.importorskip('mmdet')
    from mmdet.models.necks import FPN as HostFPN
    from mmdet.registry import MODELS

    class MyFPN(HostFPN):
        def forward(self, inputs):
            return super().forward(inputs)[::-1]

    for cls in (MyFPN, OwnNeck):
        MODELS.register_module(module=cls)
    yield MyFPN
    for name in ('MyFPN', 'OwnNeck'):
        MODELS.module_dict.pop(name)


def with_neck(**neck):
    backbone = dict(type='ResNet', depth=18, base_channels=8, init_cfg=None, out_indices=(0, 1, 2))
    return toy(backbone=backbone, neck=neck)


def test_generic_subclass(own_classes):
    """What a stock slot does for the class itself, in a class that has none."""
    fpn = dict(in_channels=[8, 16, 32], out_channels=16, num_outs=3)
    cfg = with_neck(type='MyFPN', **fpn)
    assert 'no slot of its own' in by_path(cfg)['neck'].reason
    site = {site.path: site for site in list_sites(cfg, DYSAMPLE, generic=True)}['neck']
    assert site.reason is None and site.steps == (Step(16, 2, None, 2), )
    neck = swap_upsampler(cfg, DYSAMPLE, generic=True).model.neck
    assert neck == dict(fpn, type='mmups.Intercept', host='mmdet.MyFPN', upsampler=DYSAMPLE,
                        steps=[(16, 2), (16, 2)])
    module = ROOT.build(dict(neck, _scope_='mmdet'))
    assert isinstance(module, own_classes) and len(module.upsample_modules) == 2
    slot = ROOT.build(dict(fpn, type='mmups.FPN', upsampler=DYSAMPLE))
    slot.load_state_dict({key.replace('upsample_modules.0', 'upsample_modules.x').replace(
        'upsample_modules.1', 'upsample_modules.0').replace(
        'upsample_modules.x', 'upsample_modules.1'): value  # in call order, the coarsest first
        for key, value in module.state_dict().items()})
    maps = [torch.randn(1, c, n, n) for c, n in ((8, 16), (16, 8), (32, 4))]
    assert all(map(torch.equal, module(maps), slot(maps)[::-1]))
    again = by_path(Config(dict(default_scope='mmdet', model=dict(type='MaskRCNN', neck=neck))))
    assert again['neck'].reason is None and again['neck'].slot == 'mmups.Intercept'


def test_generic_neck_that_nobody_knows(own_classes):
    cfg = with_neck(type='OwnNeck', in_channels=[8, 16], out_channels=16)
    assert list_sites(cfg) == []
    with pytest.raises(ValueError, match='nothing to swap'):
        swap_upsampler(cfg, DYSAMPLE)
    with pytest.raises(ValueError, match='FADE needs a guide, and this slot has none'):
        swap_upsampler(cfg, FADE, generic=True)
    neck = swap_upsampler(cfg, 'carafe', generic=True).model.neck
    assert neck.host == 'mmdet.OwnNeck' and neck.upsampler.type == 'CARAFE'


def test_generic_leaves_slots_alone():
    """Classes with slots are swapped as without it; what interpolates nothing is no site."""
    cfg = read(MASK_RCNN)
    assert list_sites(cfg, generic=True) == list_sites(cfg)
    cfg = read(SEGFORMER)
    assert list_sites(cfg, DYSAMPLE, generic=True) == list_sites(cfg, DYSAMPLE)


def test_generic_passes_by_what_takes_other_maps(own_classes):
    """An error of the host is no reason of ours."""
    cfg = with_neck(type='OwnNeck', in_channels=[8, 16, 32], out_channels=16)
    assert list_sites(cfg, generic=True) == []  # it unpacks two


def test_generic_with_class_tokens(monkeypatch):
    """DPT's head takes pairs of a map and a token."""
    pytest.importorskip('mmseg')
    backbone = dict(type='VisionTransformer', img_size=32, embed_dims=16, num_layers=4, num_heads=2,
                    out_indices=(0, 1, 2, 3), final_norm=False, with_cls_token=True,
                    output_cls_token=True)
    head = dict(type='DPTHead', in_channels=(16, 16, 16, 16), channels=8, embed_dims=16,
                post_process_channels=[4, 8, 16, 16], num_classes=3, readout_type='project',
                input_transform='multiple_select', in_index=(0, 1, 2, 3))
    cfg = Config(dict(default_scope='mmseg', model=dict(
        type='EncoderDecoder', backbone=backbone, decode_head=head)))
    assert by_path(cfg)['decode_head'].slot == 'mmups.DPTHead'
    monkeypatch.setattr('mmups.swap.SLOT_OF', {})
    sites = {site.path: site for site in list_sites(cfg, DYSAMPLE, generic=True)}
    assert sites['decode_head'].reason is None
    assert sites['decode_head'].steps == (Step(8, 2, None, 4), )


def test_generic_refuses_what_holds_its_guide(own_classes):
    class Holds(BaseUpsampler):
        includes_guide = True

        def upsample(self, x, guide):
            return torch.nn.functional.interpolate(x, scale_factor=2.0)

    cfg = with_neck(type='OwnNeck', in_channels=[8, 16], out_channels=16)
    site, = list_sites(cfg, dict(type=Holds), generic=True)
    assert 'holds its guide, which the host adds by itself' in site.reason
