"""Plain ViTs: the image comes from the backbone to the slots that are guided by it."""
import copy
import pickle

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from slot_cases import SLOTS
from torch import nn

from mmups.models import FADE, NAF, WithImage

TAKE_IMAGES = ['Feature2Pyramid', 'MultiLevelNeck', 'MultiLevelNeck-single', 'SETRUPHead',
               'SETRMLAHead', 'DPTHead-reassemble']
BESIDE = 'ImageGuidedNeck'  # has tests of its own: it takes the image for every method
PATCH = 16


def with_image(slot):
    """A slot with NAF, its maps, and an image of patches of 16x16."""
    case = SLOTS[slot]
    module, maps = case.build('NAF'), case.maps((3, 4))
    module.eval()
    return case, module, maps, torch.randn(2, 3, 3 * PATCH, 4 * PATCH)


def run(case, module, maps, image):
    if 'DPT' in case.name:
        return [module([*((x, x.mean((2, 3))) for x in maps), image])]
    return case.run(module, [*maps, image])


@pytest.mark.parametrize('slot', TAKE_IMAGES)
def test_slots_are_guided_by_the_image(slot):
    """Each module gets the image itself, whatever the size that it brings its map to."""
    case, module, maps, image = with_image(slot)
    modules = [m for m in module.modules() if isinstance(m, NAF)]
    assert len(modules) == case.count and {m.guide_channels for m in modules} == {3}
    guides = []
    for m in modules:
        m.register_forward_pre_hook(lambda m, args: guides.append((args[1], args[2], args[0])))
    outs = run(case, module, maps, image)
    assert len(guides) == case.count and all(guide is image for guide, _, _ in guides)
    for (_, size, x), m in zip(guides, modules):
        assert size == tuple(m.scale_factor * n for n in x.shape[2:])
    plain = case.build('Interpolate')
    plain.eval()
    expected = case.run(plain, maps)
    assert [out.shape for out in outs] == [out.shape for out in expected]
    other = run(case, module, maps, image.flip(-1))
    assert any(not torch.equal(a, b) for a, b in zip(outs, other))


@pytest.mark.parametrize('slot', TAKE_IMAGES)
def test_the_rest_learns(slot):
    """NAF is frozen, and passes gradients on."""
    case, module, maps, image = with_image(slot)
    outs = run(case, module.train(), maps, image)
    sum(out.square().sum() for out in outs).backward()
    frozen = {id(p) for m in module.modules() if isinstance(m, NAF) for p in m.parameters()}
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == (id(parameter) in frozen), name


@pytest.mark.parametrize('slot', TAKE_IMAGES)
def test_a_backbone_without_images_says_the_way_out(slot):
    case, module, maps, _ = with_image(slot)
    with pytest.raises(ValueError, match=r"the last map, \(N, 3, H, W\), got .*mmups.WithImage"):
        case.run(module, maps)


def test_other_slots_refuse_it_when_they_are_built():
    for slot, case in SLOTS.items():
        if slot not in (*TAKE_IMAGES, BESIDE):
            with pytest.raises(ValueError, match='NAF is guided by the image, which does not'):
                case.build('NAF')


def test_methods_with_another_guide_are_still_refused():
    for slot in TAKE_IMAGES:
        with pytest.raises(ValueError, match='FADE needs a guide, and this slot has none'):
            SLOTS[slot].build(FADE)


VIT = dict(img_size=(32, 48), patch_size=8, embed_dims=32, num_layers=2, num_heads=2, mlp_ratio=1,
           out_indices=(0, 1))


def test_backbone():
    """The host's maps to the bit, its keys, and the image; copies are equal."""
    pytest.importorskip('mmseg')
    torch.manual_seed(0)
    ours = ROOT.build(dict(VIT, type='mmups.WithImage', host='mmseg.VisionTransformer'))
    host = ROOT.build(dict(VIT, type='mmseg.VisionTransformer'))
    for module in (ours, host):
        module.eval()
    assert isinstance(ours, type(host)) and list(ours.state_dict()) == list(host.state_dict())
    host.load_state_dict(ours.state_dict())
    image = torch.randn(2, 3, 32, 48)
    for module in (ours, copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        *maps, last = module(image)
        assert last is image
        assert all(map(torch.equal, maps, host(image)))


def test_backbone_of_one_map():
    out, image = WithImage(3, 8, 4, 4, host=nn.Conv2d)(torch.ones(1, 3, 8, 8))
    assert out.shape == (1, 8, 2, 2) and image.shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match="host must be a class.*'mmseg.NoSuch'"):
        WithImage(host='mmseg.NoSuch')


@pytest.mark.parametrize('size', [(32, 48), (30, 41)], ids=str)
def test_a_segmentor_trains_and_predicts(size):
    """From images, padded to patches inside the ViT, to logits."""
    pytest.importorskip('mmseg')
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    naf = dict(type='NAF')
    model = ROOT.build(dict(
        type='mmseg.EncoderDecoder', backbone=dict(
            VIT, type='mmups.WithImage', host='mmseg.VisionTransformer'),
        neck=dict(type='mmups.MultiLevelNeck', in_channels=[32, 32], out_channels=32,
                  scales=[2, 1], upsampler=naf),
        decode_head=dict(type='mmups.FCNHead', in_channels=32, in_index=0, channels=16,
                         num_convs=1, concat_input=False, num_classes=5),
        train_cfg=dict(), test_cfg=dict(mode='whole')))
    model.init_weights()
    sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size),
                           gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, *size))))
    images = torch.randn(2, 3, *size)
    losses = model(images, [sample, sample], mode='loss')
    losses['decode.loss_ce'].backward()
    assert losses['decode.loss_ce'].isfinite()
    assert model.backbone.patch_embed.projection.weight.grad.any()
    with torch.no_grad():
        model.eval()
        assert model(images, mode='tensor').shape == (2, 5, 8, 12)


def test_every_slot_that_says_so_is_tested():
    slots = {SLOTS[name].cfg['type'].removeprefix('mmups.') for name in (*TAKE_IMAGES, BESIDE)}
    classes = [ROOT.get(case.cfg['type']) for case in SLOTS.values()]
    assert slots == {cls.__name__ for cls in classes if 'the image' in (
        getattr(cls, 'guide', None) or '')}
