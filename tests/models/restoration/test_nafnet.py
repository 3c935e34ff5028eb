"""NAFNet: the published counts and keys, its steps, its local pooling. What every slot promises is
tested in tests/models/layers/test_slots.py."""
import pytest
import torch
import torch.nn.functional as F
from slot_cases.doubles import Guided, IncludesGuide

from mmups import presets
from mmups.models import NAFNet, NAFNetLocal
from mmups.models.layers import NoSite
from mmups.models.restoration.nafnet import LocalAvgPool2d

TINY = dict(mid_channels=8, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])


@pytest.mark.parametrize(('args', 'expected'), [
    ({}, (67888835, 664)), (dict(mid_channels=32), (17111907, 664)),
    (dict(middle_blk_num=12, enc_blk_nums=[2, 2, 4, 8], dec_blk_nums=[2] * 4), (115982915, 664))],
    ids=['GoPro', 'GoPro-32', 'SIDD'])
def test_parameters(args, expected, count):
    assert count(NAFNet, **args) == count(NAFNetLocal, **args) == expected


@pytest.mark.parametrize(('upsampler', 'wide', 'narrow'), [
    (dict(type='LCTC', kernel_size=7), 113280, 56640), (dict(type='LCTC'), 251520, 125760),
    (dict(type='Deconv', groups=None), 18240, 9120),
    (dict(type='Deconv', groups=None, kernel_size=2), 8640, 4320),
    (dict(mode='bilinear'), 696320, 174080), (dict(type='DySample'), 727168, 189568)], ids=str)
def test_parameters_of_steps(upsampler, wide, narrow, count):
    """In place of the host's 2,785,280 and 696,320."""
    for width, host, steps in ((64, 2785280, wide), (32, 696320, narrow)):
        args = dict(mid_channels=width, middle_blk_num=0, enc_blk_nums=[0] * 4,
                    dec_blk_nums=[0] * 4)
        plain, _ = count(NAFNet, **args)
        swapped, _ = count(NAFNet, **args, upsampler=upsampler)
        assert swapped - (plain - host) == steps


def test_keys():
    """Those of the published networks, in the shapes of width 64."""
    with torch.device('meta'):
        shapes = {key: tuple(value.shape) for key, value in NAFNet().state_dict().items()}
    expected = {
        'intro.weight': (64, 3, 3, 3), 'ending.weight': (3, 64, 3, 3), 'ending.bias': (3, ),
        'downs.0.weight': (128, 64, 2, 2), 'downs.3.bias': (1024, ),
        'ups.0.0.weight': (2048, 1024, 1, 1), 'ups.1.0.weight': (1024, 512, 1, 1),
        'ups.2.0.weight': (512, 256, 1, 1), 'ups.3.0.weight': (256, 128, 1, 1)}
    block = {'beta': (1, 512, 1, 1), 'gamma': (1, 512, 1, 1), 'conv1.weight': (1024, 512, 1, 1),
             'conv2.weight': (1024, 1, 3, 3), 'sca.1.weight': (512, 512, 1, 1),
             'conv3.weight': (512, 512, 1, 1), 'conv4.weight': (1024, 512, 1, 1),
             'conv5.weight': (512, 512, 1, 1), 'norm1.weight': (512, ), 'norm2.bias': (512, )}
    expected |= {f'encoders.3.27.{key}': shape for key, shape in block.items()}
    assert expected.items() <= shapes.items()
    assert {key.split('.')[0] for key in shapes} == {
        'intro', 'ending', 'encoders', 'decoders', 'middle_blks', 'ups', 'downs'}


def test_starts_as_a_residual_of_its_image():
    """The blocks are the identity at first, and the result is added to the image."""
    net = NAFNet(**TINY)
    torch.nn.init.zeros_(net.ending.weight)
    torch.nn.init.zeros_(net.ending.bias)
    image = torch.rand(2, 3, 13, 18)
    assert torch.equal(net(image), image)


@pytest.mark.parametrize('preset', presets())
def test_every_preset(preset):
    net = NAFNet(mid_channels=32, enc_blk_nums=[0], dec_blk_nums=[0], middle_blk_num=0,
                 upsampler=presets()[preset])
    out = net(torch.rand(2, 3, 9, 14))
    out.square().sum().backward()
    assert out.shape == (2, 3, 9, 14)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_steps_go_from_coarse_to_fine_guided_by_the_encoder():
    net, image = NAFNet(**TINY, upsampler=dict(type=Guided)), torch.rand(1, 3, 10, 15)
    skips = []
    for encoder in net.encoders:
        encoder.register_forward_hook(lambda module, args, out: skips.append(out))
    net(image)
    for level, step in enumerate(net.upsample_modules):
        (x, guide), = step.upsample.calls
        assert guide is skips[level]
        assert x.shape[2:] == (6 // 2**level, 8 // 2**level) and guide.shape[1] == 8 * 2**level


def test_a_guide_in_the_output_is_not_added_again():
    """IncludesGuide makes the sum that the network otherwise makes."""
    image = torch.rand(1, 3, 8, 8)
    outs = []
    for upsampler in (Guided, IncludesGuide):
        torch.manual_seed(0)
        outs.append(NAFNet(**TINY, upsampler=dict(type=upsampler))(image))
    torch.testing.assert_close(*outs)


def test_checkpoints_with_the_hosts_names_load():
    """The authors of LCTC keep ``ups.i`` and call the paths ``body`` and ``para``."""
    net = NAFNet(**TINY, upsampler=dict(type='LCTC', kernel_size=7))
    theirs = {}
    for key, value in net.state_dict().items():
        for ours, name in (('upsample_modules.1', 'ups.0'), ('upsample_modules.0', 'ups.1'),
                           ('large', 'body'), ('small', 'para')):
            key = key.replace(ours, name)
        theirs[key] = torch.randn_like(value)
    assert 'ups.0.body.weight' in theirs and theirs['ups.0.body.weight'].shape == (32, 1, 7, 7)
    net.load_state_dict(theirs, strict=True)
    assert torch.equal(net.upsample_modules[0].small.bias, theirs['ups.1.para.bias'])


def test_stock_checkpoints_lack_the_steps_and_nothing_else():
    host, net = NAFNet(**TINY), NAFNet(**TINY, upsampler=dict(type='PixelShuffle'))
    missing, unexpected = net.load_state_dict(host.state_dict(), strict=False)
    assert all(key.startswith('upsample_modules.') for key in missing) and len(missing) == 4
    assert unexpected == ['ups.0.0.weight', 'ups.1.0.weight']


@pytest.mark.parametrize('upsampler', [None, dict(type='FreqAvgUp')], ids=str)
def test_downsampler(upsampler):
    """FLC in every step down; with FreqAvgUp, the path without aliases as a whole."""
    net = NAFNet(**TINY, upsampler=upsampler, downsampler=dict(type='FLC'))
    assert sorted(key for key in net.state_dict() if key.startswith('downs.')) == [
        f'downs.{i}.{key}' for i in range(2) for key in ('alpha', 'body.0.weight')]
    out = net(torch.rand(2, 3, 13, 18))
    out.square().sum().backward()
    assert out.shape == (2, 3, 13, 18)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize('args', [
    {}, dict(upsampler=dict(type='FADE'), downsampler=dict(type='FLC')),
    dict(upsampler=dict(type='LCTC'))], ids=str)
def test_bfloat16(args, draw, half_precision):
    half_precision(draw(NAFNet(**TINY, **args), std=0.1))


def test_mistakes():
    with pytest.raises(ValueError, match=r'as many levels, got enc_blk_nums=\[1\], dec'):
        NAFNet(enc_blk_nums=[1], dec_blk_nums=[])
    with pytest.raises(NoSite, match=r'NAFNet with enc_blk_nums=\(\) has no upsampling step'):
        NAFNet(enc_blk_nums=[], dec_blk_nums=[], upsampler=dict(type='DySample'))
    with pytest.raises(ValueError, match='NAF is guided by the image, which does not reach'):
        NAFNet(**TINY, upsampler=dict(type='NAF'))


# --- local pooling -------------------------------------------------------------------------------


@pytest.mark.parametrize('kernel', [(4, 4), (3, 7), (6, 20), (9, 9)], ids=str)
def test_local_pooling_is_average_pooling(kernel):
    """PyTorch's, repeated at the border; where a side is short, over the whole of it."""
    x = torch.randn(2, 3, 8, 11, dtype=torch.float64)
    inside = F.avg_pool2d(x, tuple(map(min, kernel, x.shape[2:])), stride=1)
    down, right = (n - m for n, m in zip(x.shape[2:], inside.shape[2:]))
    expected = F.pad(inside, (right // 2, right - right // 2, down // 2, down - down // 2),
                     mode='replicate')
    torch.testing.assert_close(LocalAvgPool2d(kernel)(x), expected, rtol=0, atol=1e-12)


def test_local_pooling_of_a_small_map_is_global():
    x = torch.randn(2, 3, 8, 11)
    out = LocalAvgPool2d((8, 11))(x)
    torch.testing.assert_close(out, x.mean((2, 3), keepdim=True))
    assert LocalAvgPool2d((4, 4))(x.bfloat16()).dtype == torch.bfloat16


def test_windows():
    """384 of 256 at full size, and of the map at each level: the padded one where it does not
    divide."""
    def windows(net):
        return [blocks[0].sca[0].kernel_size
                for blocks in (*net.encoders, net.middle_blks, *net.decoders)]

    net = NAFNetLocal(mid_channels=2, enc_blk_nums=[1] * 4, dec_blk_nums=[1] * 4)
    sizes = [384, 192, 96, 48, 24]
    assert windows(net) == [(n, n) for n in (*sizes, *sizes[3::-1])]
    assert net.training
    assert windows(NAFNetLocal(**TINY, train_size=(1, 3, 30, 41))) == [
        (48, 65), (24, 32), (12, 16), (24, 32), (48, 65)]


def test_local_is_global_on_patches_and_not_beyond(draw):
    """With the same weights: the state dicts have the same keys."""
    net, local = draw(NAFNet(**TINY)), NAFNetLocal(**TINY, train_size=(1, 3, 16, 16))
    local.load_state_dict(net.state_dict())
    for size, same in (((16, 16), True), ((24, 24), True), ((40, 24), False)):
        image = torch.rand(1, 3, *size)
        assert torch.allclose(local(image), net(image), rtol=1e-4, atol=1e-4) == same
    local = NAFNetLocal(**TINY, train_size=(1, 3, 16, 16), upsampler=dict(type='DySample'))
    assert local(torch.rand(1, 3, 40, 24)).shape == (1, 3, 40, 24)
