"""The neck whose guide is made of the image."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT
from torch import nn

from mmups.models import BaseUpsampler
from mmups.models.seg import ImageGuidedNeck
from mmups.swap import list_sites, swap_upsampler


def neck(upsampler, **kwargs):
    torch.manual_seed(0)
    module = ImageGuidedNeck(32, upsampler=upsampler, **kwargs)
    module.init_weights()
    return module.eval()


def test_equals_the_recipe():
    """Two convolutions of stride 2 with a norm over all channels, the border repeated."""
    module, x, image = neck(dict(type='ReSFU')), torch.rand(2, 32, 3, 4), torch.rand(2, 3, 48, 61)
    first, norm, _, last = module.stem
    guide = F.conv2d(F.pad(image, (1, 1, 1, 1), mode='replicate'), first.weight, first.bias, 2)
    mean, variance = guide.mean((1, 2, 3), keepdim=True), guide.var((1, 2, 3), correction=0,
                                                                    keepdim=True)
    guide = ((guide - mean) / (variance + 1e-5).sqrt() * norm.weight.view(-1, 1, 1)
             + norm.bias.view(-1, 1, 1)).relu()
    guide = F.conv2d(F.pad(guide, (1, 1, 1, 1), mode='replicate'), last.weight, last.bias, 2)
    assert guide.shape == (2, 32, 12, 16)
    out, = module((x, image))
    torch.testing.assert_close(out, module.upsample_modules[0](x, guide))
    assert sum(p.numel() for p in module.stem.parameters()) == (
        3 * 64 * 9 + 64 + 2 * 64 + 64 * 32 * 9 + 32)


@pytest.mark.parametrize('upsampler, stem', [
    (None, False), (dict(type='DySample'), False), (dict(type='FADE'), True),
    (dict(type='NAF'), False)], ids=['none', 'unguided', 'guided', 'by the image'])
def test_who_gets_what(upsampler, stem):
    """The convolutions are there for who needs them; all make the same size, also of an image that
    is no multiple of the patches."""
    module, guides = neck(upsampler), []
    assert hasattr(module, 'stem') == stem
    module.upsample_modules[0].register_forward_pre_hook(
        lambda m, args: guides.append((args[1], args[2])))
    x, image = torch.rand(1, 32, 3, 4), torch.rand(1, 3, 45, 62)
    out, = module((x, image))
    assert out.shape == (1, 32, 12, 16)
    (guide, size), = guides
    assert size == (12, 16)
    assert (guide is image) == (upsampler == dict(type='NAF')) and (guide is None) == (
        not module.upsample_modules[0].guided)
    if upsampler is None:
        torch.testing.assert_close(out, F.interpolate(x, (12, 16), mode='bilinear'))


@pytest.mark.parametrize('kwargs, maps, message', [
    (dict(patch_size=14), None, '1/4 of the image, which is no whole multiple of a map of 1/14'),
    (dict(channels=(8, 8, 8, 8)), None, '1/16 of the image'),
    (dict(channels=()), None, '0 convolutions'),
    ({}, (torch.rand(1, 32, 3, 4), ), "type='mmups.WithImage'"),
    ({}, (torch.rand(1, 32, 3, 4), ) * 2 + (torch.rand(1, 3, 48, 64), ), 'for 1 maps, got 2'),
], ids=['patch', 'factor', 'none', 'no image', 'maps'])
def test_refused(kwargs, maps, message):
    with pytest.raises(ValueError, match=message):
        neck(None, **kwargs)(maps)


def test_in_a_segmentor():
    """Behind a ViT, found by a swap, with a gradient for every parameter."""
    cfg = dict(
        type='EncoderDecoder', backbone=dict(
            type='mmups.WithImage', host='mmseg.VisionTransformer', img_size=(64, 64),
            embed_dims=32, num_layers=1, num_heads=2, final_norm=True),
        neck=dict(type='mmups.ImageGuidedNeck', in_channels=32),
        decode_head=dict(type='FCNHead', in_channels=32, channels=32, num_convs=0, num_classes=5,
                         concat_input=False, dropout_ratio=0., norm_cfg=dict(type='BN')),
        test_cfg=dict(mode='whole'))
    cfg = Config(dict(default_scope='mmseg', model=cfg))
    site, = [site for site in list_sites(cfg, 'sapa-base') if site.path == 'neck']
    assert site.reason is None and [str(step) for step in site.steps] == ['1 x 32, x4, guide 32']
    model = ROOT.build(dict(swap_upsampler(cfg, 'sapa-base', ['neck']).model, _scope_='mmseg'))
    logits = model(torch.rand(2, 3, 48, 64))
    assert logits.shape == (2, 5, 12, 16)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    names = [type(m).__name__ for m in model.modules() if isinstance(m, BaseUpsampler)]
    assert names == ['SAPA'] and isinstance(model.neck.stem, nn.Sequential)
