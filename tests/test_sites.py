"""Sites are confronted with the maps that reach them, and nothing else is held against them."""
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as ROOT

from mmups.models.upsamplers import DySample
from mmups.swap import Step, list_sites, swap_upsampler

DYSAMPLE = dict(type='DySample')
INTERPOLATE = dict(type='Interpolate')
HEAD = dict(channels=16, num_classes=3, norm_cfg=dict(type='BN'))


def resnet(**kwargs):
    return dict(type='ResNet', depth=18, base_channels=8, init_cfg=None, **kwargs)


def d8(**kwargs):
    return resnet(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), **kwargs)


def d16(**kwargs):
    return resnet(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), **kwargs)


def head(kind, index, **kwargs):
    return dict(HEAD, type=kind, in_channels=[(8, 16, 32, 64)[i] for i in index],
                in_index=list(index), **kwargs)


def det(**model):
    pytest.importorskip('mmdet')
    return Config(dict(default_scope='mmdet', model=dict(type='RetinaNet', **model)))


def seg(**model):
    pytest.importorskip('mmseg')
    return Config(dict(default_scope='mmseg', model=dict(type='EncoderDecoder', **model)))


def fpn(channels, **kwargs):
    return dict(type='FPN', in_channels=list(channels), out_channels=16, num_outs=len(channels),
                **kwargs)


def deeplab(**kwargs):
    return dict(HEAD, type='DepthwiseSeparableASPPHead', in_channels=64, in_index=3,
                c1_in_channels=8, c1_channels=8, dilations=(1, 2), **kwargs)


ALL = (8, 16, 32, 64)
SEMANTIC = dict(type='FusedSemanticHead', num_ins=4, fusion_level=0, in_channels=16, num_convs=1,
                conv_out_channels=16, num_classes=3)
#: Name -> a model whose maps do not suit x2 steps, the site, and the sizes that its reason quotes.
MISFITS = {
    'skipped stage': (lambda: det(backbone=resnet(out_indices=(0, 2, 3)), neck=fpn((8, 32, 64))),
                      'neck', '32x32 and 8x8'),
    'dilated d8': (lambda: det(backbone=d8(), neck=fpn(ALL)), 'neck', '16x16 and 16x16'),
    'behind such a neck': (
        lambda: det(backbone=d8(), neck=fpn(ALL), roi_head=dict(type='X', semantic_head=SEMANTIC)),
        'roi_head.semantic_head', '16x16 and 16x16'),
    'the second neck': (lambda: det(backbone=d8(), neck=[fpn(ALL), fpn((16, ) * 4)]), 'neck.1',
                        '16x16 and 16x16'),
    'a pixel decoder': (
        lambda: seg(backbone=resnet(strides=(1, 1, 2, 2)), decode_head=dict(
            type='X', pixel_decoder=dict(
                type='mmdet.MSDeformAttnPixelDecoder', in_channels=list(ALL),
                strides=[4, 8, 16, 32], feat_channels=32, out_channels=8, num_outs=3,
                norm_cfg=dict(type='GN', num_groups=4),
                positional_encoding=dict(num_feats=16, normalize=True),
                encoder=ConfigDict(num_layers=1, layer_cfg=dict(
                    self_attn_cfg=dict(embed_dims=32, num_heads=4, num_levels=3, num_points=2,
                                       batch_first=True),
                    ffn_cfg=dict(embed_dims=32, feedforward_channels=32, num_fcs=2)))))),
        'decode_head.pixel_decoder', '32x32 and 32x32'),
    'segformer 0 2 3': (lambda: seg(backbone=resnet(), decode_head=head(
        'SegformerHead', (0, 2, 3))), 'decode_head', '32x32 and 8x8'),
    'segformer 0 3': (lambda: seg(backbone=resnet(), decode_head=head('SegformerHead', (0, 3))),
                      'decode_head', '32x32 and 4x4'),
    'mit strides': (lambda: seg(
        backbone=dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1] * 4,
                      num_heads=[1, 2, 4, 8], strides=[4, 2, 1, 1], sr_ratios=[1] * 4),
        decode_head=dict(head('SegformerHead', (0, 1, 2, 3)), in_channels=[8, 16, 32, 64])),
        'decode_head', '16x16 and 16x16'),
    'resize_concat': (lambda: seg(backbone=resnet(), decode_head=head(
        'FCNHead', (0, 2), input_transform='resize_concat')), 'decode_head', '32x32 and 8x8'),
    'ham': (lambda: seg(backbone=resnet(), decode_head=head(
        'LightHamHead', (1, 3), ham_channels=16, ham_kwargs=dict(MD_R=8))), 'decode_head',
        '16x16 and 4x4'),
    'auxiliary': (lambda: seg(backbone=resnet(), decode_head=head('FCNHead', (0, )),
                              auxiliary_head=[head('SegformerHead', (1, 3))]),
                  'auxiliary_head.0', '16x16 and 4x4'),
    'semantic fpn d16': (lambda: seg(
        backbone=d16(), neck=fpn(ALL, upsample_cfg=dict(mode='bilinear')),
        decode_head=dict(HEAD, type='FPNHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3],
                         feature_strides=[4, 8, 16, 32])), 'decode_head', '8x8 and 8x8'),
    'jpu d16': (lambda: seg(backbone=d16(out_indices=(1, 2, 3)), neck=dict(
        type='JPU', in_channels=(16, 32, 64), mid_channels=16)), 'neck', '8x8 and 8x8'),
    'uper': (lambda: seg(backbone=d8(), decode_head=head('UPerHead', (0, 1, 2, 3))),
             'decode_head', '16x16 and 16x16'),
    'uper, fusion': (lambda: seg(backbone=d8(), decode_head=head('UPerHead', (0, 1, 2, 3))),
                     'decode_head.fusion_upsampler', '16x16 and 16x16'),
    'vit': (lambda: seg(
        backbone=dict(type='VisionTransformer', img_size=(64, 64), embed_dims=32, num_layers=4,
                      num_heads=2, out_indices=(0, 1, 2, 3), patch_size=8),
        decode_head=dict(head('UPerHead', (0, 1, 2, 3)), in_channels=[32] * 4)),
        'decode_head', '8x8 and 8x8'),
    'a written factor': (lambda: seg(backbone=d8(), decode_head=deeplab(scale_factor=4)),
                         'decode_head', '32x32 and 16x16'),
    'a backbone of two paths': (lambda: seg(backbone=dict(
        type='BiSeNetV1', backbone_cfg=d8(), context_channels=(16, 32, 64), out_channels=16,
        spatial_channels=(8, 8, 8, 16))), 'backbone', '16x16 and 16x16'),
}


@pytest.mark.parametrize('name', MISFITS)
def test_maps_that_do_not_fit(name):
    make, path, sizes = MISFITS[name]
    cfg = make()
    site, = (site for site in list_sites(cfg) if site.path == path)
    assert f'maps of {sizes} are not x' in site.reason and site.steps
    assert {s.path: s for s in list_sites(cfg, DYSAMPLE)}[path].reason == site.reason
    with pytest.raises(ValueError, match=f'{site.config_key}: maps of {sizes} are not x'):
        swap_upsampler(cfg, DYSAMPLE, path)


@pytest.mark.parametrize('name', MISFITS)
def test_any_size_fits(name):
    """What reaches any size in one step is no matter of sizes, and runs."""
    make, path, _ = MISFITS[name]
    cfg = make()
    assert {s.path: s for s in list_sites(cfg, INTERPOLATE)}[path].reason is None
    swapped = swap_upsampler(cfg, INTERPOLATE, [path])
    if cfg.default_scope == 'mmseg' and name != 'a backbone of two paths' and (
            cfg.model.get('decode_head', {}).get('channels') and name != 'auxiliary'):
        model = dict(swapped.model, _scope_='mmseg', test_cfg=dict(mode='whole'))
        model = ROOT.build(ConfigDict(model)).eval()
        side = cfg.model.backbone.get('img_size', (128, ))[0]
        assert model(torch.zeros(1, 3, side, side), mode='tensor').isfinite().all()


def test_default_swap_leaves_it_with_a_word():
    cfg = MISFITS['behind such a neck'][0]()
    cfg.model.roi_head.mask_head = dict(type='FCNMaskHead', in_channels=16, conv_out_channels=16)
    with pytest.warns(UserWarning) as caught:
        swapped = swap_upsampler(cfg, DYSAMPLE)
    words = [str(w.message) for w in caught]
    assert [word.split(' stays as it is: maps of ')[0] for word in words] == [
        'model.neck.upsampler', 'model.roi_head.semantic_head.upsampler']
    assert swapped.model.neck == cfg.model.neck
    assert swapped.model.roi_head.mask_head.upsampler == DYSAMPLE


@pytest.mark.parametrize('make', [
    lambda: det(backbone=resnet(), neck=fpn(ALL)),
    lambda: det(backbone=resnet(), neck=[fpn(ALL), fpn((16, ) * 4)]),
    lambda: seg(backbone=resnet(), decode_head=head('SegformerHead', (0, 1, 2, 3))),
    lambda: seg(backbone=resnet(), decode_head=head('SegformerHead', (1, 2))),
    lambda: seg(backbone=resnet(), decode_head=head('UPerHead', (0, 1, 2, 3))),
    lambda: seg(backbone=d8(), decode_head=head('UPerHead', (0, 1))),
    lambda: seg(backbone=d16(), decode_head=deeplab()),
    lambda: seg(backbone=resnet(out_indices=(1, 2, 3)), neck=dict(
        type='JPU', in_channels=(16, 32, 64), mid_channels=16)),
    lambda: seg(backbone=resnet(), decode_head=dict(
        HEAD, type='FPNHead', in_channels=[8, 32], in_index=[0, 2], feature_strides=[4, 16])),
    lambda: seg(backbone=dict(type='BiSeNetV1', backbone_cfg=resnet(), out_channels=16,
                              context_channels=(16, 32, 64), spatial_channels=(8, 8, 8, 16))),
])
def test_maps_that_fit(make, recwarn):
    """And nothing is said of them."""
    cfg = make()
    assert not any(site.misfit for site in list_sites(cfg))
    swap_upsampler(cfg, DYSAMPLE)
    assert [str(w.message) for w in recwarn if 'stays as it is' in str(w.message)] == []


# --- what cannot be run --------------------------------------------------------------------------


class Backbone(torch.nn.Module):
    """Maps at 1/4 to 1/32, by average pooling."""

    def __init__(self, in_channels=3, pretrained=None, fails=None, wants=None, log=None):
        super().__init__()
        if fails or pretrained:
            raise OSError(f'no file {pretrained}')
        if log is not None:
            log.append(self)
        self.wants = wants
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(3, c, 1) for c in ALL)

    def forward(self, x):
        if self.wants == 'meta':
            x = x + float(x.sum())
        elif self.wants == 'list':
            x = x[0] + x[1]
        elif self.wants == 'six':
            x = torch.nn.functional.conv2d(x, torch.zeros(3, 6, 1, 1))
        elif self.wants == 'metas':
            raise TypeError('no metas')
        pool = torch.nn.functional.avg_pool2d
        return [conv(pool(x, 4 * 2**i)) for i, conv in enumerate(self.convs)]


UNKNOWN = {
    'needs metas': dict(backbone=dict(type=Backbone, wants='metas')),
    'six channels': dict(backbone=dict(type=Backbone, wants='six')),
    'two images': dict(backbone=dict(type=Backbone, wants='list')),
    'cannot be built': dict(backbone=dict(type=Backbone, fails=True)),
    'missing package': dict(backbone=dict(type='mmnowhere.ConvNeXt')),
    'another name': dict(img_backbone=dict(type=Backbone)),
    'no config': dict(backbone=None),
    'none': dict(),
}


@pytest.mark.parametrize('name', UNKNOWN)
@pytest.mark.parametrize('kind', ['UPerHead', 'SegformerHead', 'FCNHead'])
def test_unknown_sizes_are_no_reason(kind, name, capsys):
    args = dict(input_transform='resize_concat') if kind == 'FCNHead' else {}
    cfg = seg(**UNKNOWN[name], seg_head=head(kind, (0, 1, 2, 3), **args))
    sites = list_sites(cfg, DYSAMPLE)
    assert sites and all(site.reason is None and site.path.startswith('seg_head') for site in sites)
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('name', UNKNOWN)
def test_unknown_factor(name):
    """It is never guessed; what is written is taken, and the logits do not need it."""
    cfg = seg(**UNKNOWN[name], decode_head=deeplab())
    step, logits = list_sites(cfg)
    assert 'scale_factor=2' in step.reason and 'scale_factor=4' in step.reason
    assert logits.reason is None and logits.steps == (Step(16, 2, None), )
    assert swap_upsampler(cfg, DYSAMPLE, [logits.path]).model.decode_head.logits_upsampler
    cfg.model.decode_head.scale_factor = 4
    assert list_sites(cfg)[0].steps == (Step(16, 4, 8), )
    assert swap_upsampler(cfg, DYSAMPLE).model.decode_head.scale_factor == 4


def test_what_the_meta_device_cannot_run():
    cfg = seg(backbone=dict(type=Backbone, wants='meta'), decode_head=deeplab())
    assert list_sites(cfg)[0].steps == (Step(16, 8, 8), )


def test_one_backbone_per_model_and_no_weights():
    """It is built once for all sites, without a checkpoint, and leaves no random numbers used."""
    log = []
    backbone = dict(type=Backbone, pretrained='http://nowhere/x.pth', log=log)
    heads = [head('UPerHead', (0, 1, 2, 3)), head('SegformerHead', (0, 1, 2, 3)), deeplab()]
    cfg = seg(backbone=backbone, decode_head=heads)
    log = cfg.model.backbone.log
    state = torch.get_rng_state()
    assert all(site.reason is None for site in list_sites(cfg))
    assert len(log) <= 1  # the config's copy has a log of its own
    assert torch.equal(torch.get_rng_state(), state)
    assert cfg.model.backbone.pretrained == 'http://nowhere/x.pth'


def test_builds(monkeypatch):
    """One build per module, however many keys it has, and one of the backbone."""
    from mmups.sites import Model
    built, build = [], Model.build
    monkeypatch.setattr(Model, 'build', lambda self, location, *args: (
        built.append(location), build(self, location, *args))[1])
    list_sites(seg(backbone=resnet(), decode_head=head('UPerHead', (0, 1, 2, 3)),
                   auxiliary_head=head('SegformerHead', (0, 1, 2, 3))))
    assert sorted(built) == [('auxiliary_head', ), ('backbone', ), ('decode_head', )]


def test_nested_models():
    """The nearest backbone counts."""
    cfg = det(backbone=resnet(), detector=dict(type='Y', backbone=d8(), neck=fpn(ALL)),
              neck=fpn(ALL))
    reasons = {site.path: site.reason for site in list_sites(cfg)}
    assert reasons['neck'] is None and 'not x2 apart' in reasons['detector.neck']


# --- teachers, scopes, classes of one's own -------------------------------------------------------


@pytest.mark.parametrize('path, optional', [
    (('teacher', ), True), (('ema_teacher', ), True), (('teacher_model', ), True),
    (('x', 'teacher'), True), (('wrapper', 'frozen_teacher', 'model'), True),
    (('pupil', ), False), (('teachers', ), False), (('teacherless', ), False),
    (('myteacher', ), False)], ids=str)
def test_frozen_teachers(path, optional):
    """They are swapped only when asked for, wherever they stand."""
    part = dict(neck=fpn(ALL))
    for name in reversed(path):
        part = {name: dict(part, type='Wrapper')}
    cfg = det(**part, student=dict(neck=fpn(ALL)))
    name = '.'.join((*path, 'neck'))
    sites = {site.path: site for site in list_sites(cfg)}
    assert sites[name].optional is optional and not sites['student.neck'].optional
    at = swap_upsampler(cfg, DYSAMPLE).model
    for part in path:
        at = at[part]
    assert at.neck.type == ('FPN' if optional else 'mmups.FPN')
    assert len([s for s in list_sites(swap_upsampler(cfg, DYSAMPLE, 'all'))
                if s.host == 'mmups.FPN']) == 2


def test_teacher_neck():
    """The spelling of mmdet's LAD."""
    sites = list_sites(det(teacher_neck=fpn(ALL), neck=fpn(ALL)))
    assert [(site.path, site.optional) for site in sites] == [('teacher_neck', True),
                                                             ('neck', False)]


def test_the_scope_of_an_enclosing_config_counts():
    """For the class of a part, and for what is built within it."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    neck = fpn(ALL, plugin=dict(type='DropBlock', drop_prob=0.1, block_size=3))  # mmdet's only
    cfg = Config(dict(default_scope='mmseg', model=dict(type='X', part=dict(
        _scope_='mmdet', type='Y', inner=dict(deep=[dict(neck, type='FPN_DropBlock')])),
        neck=fpn(ALL))))
    inner, outer = list_sites(cfg, DYSAMPLE)
    assert (inner.host, inner.reason) == ('mmdet.FPN_DropBlock', None)
    assert outer.host == 'mmseg.FPN'


def test_no_scope():
    """Names without a prefix are of no use then; what has one, or is a class, is found."""
    with pytest.raises(ValueError, match=r"no default_scope, and 'FPN' is in none .*: set default"):
        list_sites(Config(dict(model=dict(type='RetinaNet', neck=fpn(ALL)))))
    pytest.importorskip('mmdet')
    site, = list_sites(Config(dict(model=dict(neck=dict(fpn(ALL), type='mmdet.FPN')))))
    assert site.slot == 'mmups.FPN'


def test_a_subclass_of_a_slot_stays_itself():
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS

    from mmups.models.det import FPN

    class MyFPN(FPN):
        def __init__(self, *args, gain=1, **kwargs):
            super().__init__(*args, **kwargs)

    MODELS.register_module(module=MyFPN)
    try:
        for name in ('MyFPN', MyFPN):
            cfg = det(backbone=resnet(), neck=dict(fpn(ALL), type=name, gain=2))
            site, = list_sites(cfg, DYSAMPLE)
            assert site.reason is None and site.steps == (Step(16, 2, 16, 3), )
            neck = swap_upsampler(cfg, DYSAMPLE).model.neck
            assert neck == dict(fpn(ALL), type=name, gain=2, upsampler=DYSAMPLE)
            assert isinstance(ROOT.build(dict(neck, _scope_='mmdet')), MyFPN)
    finally:
        MODELS.module_dict.pop('MyFPN')


# --- mistakes ------------------------------------------------------------------------------------


@pytest.fixture
def plain():
    return det(backbone=resnet(), neck=fpn(ALL), roi_head=dict(
        mask_head=dict(type='FCNMaskHead', in_channels=16, conv_out_channels=16, num_convs=1)))


@pytest.mark.parametrize('upsampler', [None, {}, '', DySample, DySample(16), 3, [],
                                       [('type', 'DySample')], ConfigDict()], ids=str)
@pytest.mark.parametrize('sites', ['default', 'all', ['neck']], ids=str)
def test_no_upsampler(plain, upsampler, sites):
    with pytest.raises(ValueError, match=r"^model.neck.upsampler: .*dict\(type='DySample'\), got"):
        swap_upsampler(plain, upsampler, sites)


@pytest.mark.parametrize('upsampler', [ConfigDict(DYSAMPLE), dict(type=DySample),
                                       dict(type='mmups.DySample'), dict(mode='nearest')], ids=str)
def test_spellings_of_an_upsampler(plain, upsampler):
    neck = swap_upsampler(plain, upsampler).model.neck
    assert neck.upsampler == upsampler
    assert len(ROOT.build(dict(neck, _scope_='mmdet')).upsample_modules) == 3


@pytest.mark.parametrize('sites', [None, [], (), 3, {}], ids=str)
def test_no_sites(plain, sites):
    with pytest.raises(ValueError, match=r"^sites must be 'default', 'all' or some of \['neck', "
                                         r"'roi_head.mask_head'\], got"):
        swap_upsampler(plain, DYSAMPLE, sites)


@pytest.mark.parametrize('sites', ['', [''], ['neck', ''], [None], [3], [['neck']], 'necks',
                                   ['default']], ids=str)
def test_unknown_sites(plain, sites):
    message = '^this model has no site .*; its sites: neck, roi_head.mask_head$'
    with pytest.raises(ValueError, match=message):
        swap_upsampler(plain, DYSAMPLE, sites)


@pytest.mark.parametrize('sites', [['neck', 'neck'], ('neck', ), {'neck'}, iter(['neck']), 'neck'])
def test_sites_in_any_form(plain, sites):
    model = swap_upsampler(plain, DYSAMPLE, sites).model
    assert model.neck.upsampler == DYSAMPLE and model.roi_head == plain.model.roi_head


def test_a_site_left_behind(plain):
    """Each with its reason; what has nothing to swap is not left behind."""
    plain.model.roi_head.semantic_head = dict(SEMANTIC, fusion_level=3)
    with pytest.warns(UserWarning) as caught:
        swap_upsampler(plain, dict(type='FADE'))
    assert [str(w.message).split(', and')[0] for w in caught] == [
        'model.roi_head.mask_head.upsampler stays as it is: FADE needs a guide']
    plain.model.neck.out_channels = 18
    with pytest.warns(UserWarning, match='model.neck.upsampler stays as it is: .*groups=4'):
        swap_upsampler(plain, DYSAMPLE)


def test_a_mask_head_that_keeps_its_size(plain):
    plain.model.roi_head.mask_head.upsample_cfg = dict(type=None)
    reason = {site.path: site.reason for site in list_sites(plain)}['roi_head.mask_head']
    assert reason.startswith("nothing to swap: FCNMaskHead with upsample_cfg={'type': None}")
    swapped = swap_upsampler(plain, DYSAMPLE)
    assert swapped.model.roi_head == plain.model.roi_head
    assert swapped.model.neck.upsampler == DYSAMPLE
