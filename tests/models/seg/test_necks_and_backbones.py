"""What the slots in mmseg's necks and backbones do in their own way: guides, sums, refusals."""
import pytest
import torch
from mmengine.model import BaseModule
from slot_cases import SLOTS
from slot_cases.doubles import Guided, IncludesGuide

from mmups.models.layers import NoSite

pytest.importorskip('mmseg')


def run(slot, upsampler=Guided, watch=(), **kwargs):
    """The slot after a forward pass with even sizes, and what its submodules ``watch`` returned."""
    case, seen = SLOTS[slot], {}
    module = case.build(upsampler, **kwargs)
    for name in watch:
        module.get_submodule(name).register_forward_hook(
            lambda m, args, out, name=name: seen.setdefault(name, out))
    case.run(module, case.maps((64, 96)))
    return module, [seen[name] for name in watch]


def guides(module):
    """In the order of the modules."""
    return [m.guides[0] for m in module.modules() if isinstance(m, Guided)]


# --- guides --------------------------------------------------------------------------------------


@pytest.mark.parametrize('slot, sources', [
    ('SegFPN', ['lateral_convs.0', 'lateral_convs.1', 'lateral_convs.2']),
    ('UNet', ['encoder.0']),
    ('UNet-deconv', ['encoder.0']),
    ('JPU', ['conv_layers.1', 'conv_layers.0', 'conv_layers.0']),
    ('BiSeNetV1', ['context_path.backbone.layer3', 'context_path.backbone.layer2']),
    ('BiSeNetV2', ['semantic.stage3', 'bga.detail_dwconv', 'semantic.stage3']),
    ('STDCContextPathNet', ['backbone.stages.3', 'backbone.stages.2']),
    ('FastSCNN', ['global_feature_extractor.bottleneck1', 'learning_to_downsample']),
    ('DDRNet', ['spatial_branch_layers.0']),
    ('ERFNet', ['encoder.2', 'encoder.0']),
])
def test_guides(slot, sources):
    """The guide of each step is the map that comes from there."""
    module, maps = run(slot, watch=sources)
    assert len(guides(module)) == SLOTS[slot].count
    for guide, expected in zip(guides(module), maps):
        assert torch.equal(guide, expected)


@pytest.mark.parametrize('slot, heights', [
    ('ICNeck', [32, 64]),
    ('SegHRNet', [16, 8, 16, 16, 8, 4, 8, 16, 8, 16, 16, 4, 8, 8, 4]),
    ('BiSeNetV2', [4, 8, 4, 8]),
    ('DDRNet', [8, 4, 8, 2, 4, 8]),
    ('PIDNet', [8, 8, 4, 8, 4, 8, 8, 4, 8, 2, 4, 8]),
])
def test_steps(slot, heights):
    """Of a map 64 high: each step reaches the next finer level."""
    module, _ = run(slot)
    assert [guide.shape[2] for guide in guides(module)] == heights


@pytest.mark.parametrize('slot, first', [('SegFPN', 'fpn_convs.0'), ('SegHRNet', 'stage2.0'),
                                         ('DDRNet', 'spatial_branch_layers.1'),
                                         ('PIDNet', 'd_branch_layers.1')])
def test_sum_that_the_upsampler_makes(slot, first):
    """A method that includes its guide replaces the sum with it."""
    _, (expected, ) = run(slot, watch=[first])
    _, (out, ) = run(slot, IncludesGuide, watch=[first])
    for a, b in zip(*(x if isinstance(x, list) else [x] for x in (out, expected))):
        torch.testing.assert_close(a, b)


def test_unet_levels_of_one_size():
    """Where the encoder does not downsample, the decoder keeps mmseg's convolution."""
    module, _ = run('UNet', num_stages=4, strides=(1, 1, 2, 1), enc_num_convs=(1, ) * 4,
                    dec_num_convs=(1, ) * 3, downsamples=(True, True, False),
                    enc_dilations=(1, ) * 4, dec_dilations=(1, ) * 3)
    assert [guide.shape[1:3] for guide in guides(module)] == [(32, 64), (64, 32)]
    assert not hasattr(module.decoder[2], 'upsample_modules')


def test_hrnet_without_the_coarse_outputs():
    """Its last module brings everything to the finest branch only."""
    module, _ = run('SegHRNet', multiscale_output=False)
    assert len(guides(module)) == 1 + 4 + 6


def test_hrnet_freezes_upsamplers_with_their_stage():
    module = SLOTS['SegHRNet'].build('CARAFE', frozen_stages=2)
    assert not any(p.requires_grad for p in module.stage2.parameters())
    assert all(p.requires_grad for p in module.stage3.parameters())


# --- as the host ---------------------------------------------------------------------------------


@pytest.mark.parametrize('upsampler', [None, dict(mode='bilinear', align_corners=True)], ids=str)
@pytest.mark.parametrize('slot', ['JPU', 'ICNeck', 'BiSeNetV2', 'FastSCNN', 'DDRNet', 'PIDNet',
                                  'STDCContextPathNet'])
def test_align_corners(slot, upsampler):
    """The host's ``align_corners`` holds for the host's interpolation."""
    kwargs = dict(align_corners=True)
    if slot == 'STDCContextPathNet':
        kwargs['upsample_mode'] = 'bilinear'
    if slot == 'PIDNet' and upsampler:
        pytest.skip('mmseg resizes without align_corners in pag_1 and pag_2')
    case = SLOTS[slot]
    host, ours = case.build_host(**kwargs), case.build(upsampler, **kwargs)
    ours.load_state_dict(host.state_dict())
    maps = case.maps()
    for out, expected in zip(case.run(ours, maps), case.run(host, maps)):
        assert torch.equal(out, expected)


def test_hrnet_interpolates_once():
    """On even sizes the second resizing of mmseg does nothing."""
    case = SLOTS['SegHRNet']
    host, ours = case.build_host(), case.build(dict(mode='bilinear'))
    ours.load_state_dict(host.state_dict())
    for out, expected in zip(case.run(ours, case.maps()), case.run(host, case.maps())):
        assert torch.equal(out, expected)


# --- initialisation ------------------------------------------------------------------------------


@pytest.mark.parametrize('slot', ['Feature2Pyramid', 'MultiLevelNeck'])
def test_model_around_a_plain_neck(slot):
    """The initialisation of a model reaches the neck and ends with the upsamplers'."""
    class Model(BaseModule):
        def __init__(self):
            super().__init__(init_cfg=dict(type='Constant', val=7, layer='Conv2d'))
            self.neck = SLOTS[slot].build(dict(type='DySample'))

    model = Model()
    for _ in range(2):
        model.neck.init_weights()
    model.init_weights()
    for upsample in model.neck.upsample_modules:
        assert upsample.offset.weight.std() < 0.002


@pytest.mark.parametrize('slot', ['PIDNet', 'UNet'])
def test_pretrained(slot, tmp_path):
    """A checkpoint of the whole backbone brings its upsamplers' weights along."""
    case = SLOTS[slot]
    trained = case.build('DySample')
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(trained.state_dict(), tmp_path / 'whole.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'whole.pth'))
    module = case.build('DySample', init_cfg=init_cfg)
    assert all(map(torch.equal, module.parameters(), trained.parameters()))


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize('slot, kwargs, message', [
    ('SegFPN', dict(end_level=1, num_outs=1), 'start_level=0, end_level=1 has no upsampling step'),
    ('UNet', dict(downsamples=(False, )), r'downsamples=\(False,\) has no upsampling step'),
    ('Feature2Pyramid', dict(rescales=[1, 0.5]), r'rescales=\[1, 0.5\] has no upsampling step'),
    ('MultiLevelNeck', dict(scales=[0.5, 1.5]), r'scales=\[0.5, 1.5\] has no upsampling step'),
    ('JPU', dict(end_level=1), 'start_level=0, backbone_end_level=1 has no upsampling step'),
    ('FastSCNN', dict(global_block_strides=(1, 1, 1)),
     r'global_block_strides=\(1, 1, 1\) has no upsampling step'),
])
def test_no_site(slot, kwargs, message):
    SLOTS[slot].build(**kwargs)
    with pytest.raises(NoSite, match=message):
        SLOTS[slot].build('DySample', **kwargs)


@pytest.mark.parametrize('slot', ['SegFPN', 'Feature2Pyramid', 'MultiLevelNeck', 'JPU'])
def test_missing_map(slot):
    case = SLOTS[slot]
    with pytest.raises(ValueError, match=r'was built for \d maps, got \d'):
        case.run(case.build('DySample'), case.maps()[1:])


@pytest.mark.parametrize('upsampler', [None, 'DySample'])
@pytest.mark.parametrize('slot', ['SegFPN', 'JPU', 'Feature2Pyramid', 'MultiLevelNeck'])
def test_one_map_in_place_of_all(slot, upsampler):
    """Even where its batch is as long as their list."""
    case = SLOTS[slot]
    batch = torch.randn(len(case.maps()), 8, 32, 48)
    with pytest.raises(ValueError, match=rf'{slot} takes a list of maps, got a tensor of shape'):
        case.build(upsampler)(batch)


def test_unet_with_another_upsample_block():
    class Other(torch.nn.Identity):
        pass

    SLOTS['UNet'].build(upsample_cfg=dict(type=Other))
    with pytest.raises(ValueError, match='upsample_cfg.*InterpConv.*DeconvModule.*got Other'):
        SLOTS['UNet'].build('DySample', upsample_cfg=dict(type=Other))


@pytest.mark.parametrize('upsampler', ['DySample', 'FADE', 'Interpolate'])
def test_icnet_sizes(upsampler):
    """Maps of 104, 53 and 26 rows, as ICNet makes them of 832: 53 is more than half of 104."""
    case = SLOTS['ICNeck']
    maps = [torch.randn(1, c, n, n) for c, n in zip(case.channels, (104, 53, 26))]
    outs = case.run(case.build(upsampler), maps)
    assert outs[0].shape[2:] == (104, 104)
    if upsampler == 'Interpolate':
        host, ours = case.build_host().eval(), case.build(upsampler).eval()
        ours.load_state_dict(host.state_dict())
        assert all(map(torch.equal, case.run(ours, maps), case.run(host, maps)))
