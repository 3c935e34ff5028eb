"""Restormer: the published counts and keys, its steps and inputs. What every slot promises is
tested in tests/models/layers/test_slots.py."""
import pytest
import torch
from slot_cases.doubles import Enhancing, Guided

from mmups.models import Restormer

TINY = dict(dim=8, num_blocks=[1] * 4, num_refinement_blocks=1)


def test_parameters(count):
    assert count(Restormer) == (26126644, 494)


@pytest.mark.parametrize(('upsampler', 'expected'), [
    (dict(type='LCTC', kernel_size=7), 39648), (dict(type='LCTC'), 88032),
    (dict(type='Deconv', groups=None), 6384),
    (dict(type='Deconv', groups=None, kernel_size=2), 3024), (dict(mode='bilinear'), 96768),
    (dict(type='DySample'), 107616), (dict(type='FreqAvgUp'), 3483648 + 3)], ids=str)
def test_parameters_of_steps(upsampler, expected, count):
    """In place of the host's 3,483,648; FreqAvgUp has the same convolutions, and a number each."""
    args = dict(num_blocks=[0] * 4, num_refinement_blocks=0)
    plain, _ = count(Restormer, **args)
    swapped, _ = count(Restormer, **args, upsampler=upsampler)
    assert swapped - (plain - 3483648) == expected


def test_keys():
    """Those of the published network."""
    with torch.device('meta'):
        shapes = {key: tuple(value.shape) for key, value in Restormer().state_dict().items()}
    expected = {
        'patch_embed.proj.weight': (48, 3, 3, 3), 'output.weight': (3, 96, 3, 3),
        'down1_2.body.0.weight': (24, 48, 3, 3), 'down2_3.body.0.weight': (48, 96, 3, 3),
        'down3_4.body.0.weight': (96, 192, 3, 3), 'up4_3.body.0.weight': (768, 384, 3, 3),
        'up3_2.body.0.weight': (384, 192, 3, 3), 'up2_1.body.0.weight': (192, 96, 3, 3),
        'reduce_chan_level3.weight': (192, 384, 1, 1), 'reduce_chan_level2.weight': (96, 192, 1, 1),
        'decoder_level1.0.norm1.body.bias': (96, ), 'refinement.3.attn.temperature': (1, 1, 1),
        'latent.7.attn.temperature': (8, 1, 1), 'latent.0.ffn.dwconv.weight': (2042, 1, 3, 3)}
    assert expected.items() <= shapes.items()
    assert not [key for key in shapes if key.endswith('bias') and '.norm' not in key]


@pytest.mark.parametrize('norm', ['WithBias', 'BiasFree'])
def test_norm_by_formula(norm):
    block = Restormer(**TINY, LayerNorm_type=norm).latent[0].norm1
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 64, 3, 4)
    mean, spread = x.mean(1, keepdim=True), (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    column = (1, -1, 1, 1)
    expected = x / spread * block.body.weight.view(column)
    if norm == 'WithBias':
        expected = (x - mean) / spread * block.body.weight.view(column) + block.body.bias.view(
            column)
    torch.testing.assert_close(block(x), expected)


def test_attention_by_loops():
    """Between the channels of a head: rows of all pixels, of length one."""
    attention = Restormer(**TINY, heads=[2, 2, 2, 2]).encoder_level1[0].attn.double()
    torch.nn.init.normal_(attention.temperature)
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    q, k, v = attention.qkv_dwconv(attention.qkv(x)).flatten(2)[0].chunk(3)
    rows = []
    for channel in range(8):
        first = channel // 4 * 4
        logits = torch.stack([
            q[channel] @ k[other] / q[channel].norm() / k[other].norm()
            for other in range(first, first + 4)]) * attention.temperature[first // 4, 0, 0]
        rows.append(logits.softmax(0) @ v[first:first + 4])
    expected = attention.project_out(torch.stack(rows).reshape(1, 8, 3, 4))
    torch.testing.assert_close(attention(x), expected, rtol=0, atol=1e-12)


def test_steps_go_from_coarse_to_fine_guided_by_the_encoder():
    net = Restormer(**TINY, upsampler=dict(type=Guided))
    skips = []
    for level in (1, 2, 3):
        net.get_submodule(f'encoder_level{level}').register_forward_hook(
            lambda module, args, out: skips.append(out))
    net(torch.rand(1, 3, 13, 18))
    for level, step in enumerate(net.upsample_modules):
        (x, guide), = step.upsample.calls
        assert guide is skips[level]
        assert x.shape == (1, 8 * 2**level, 8 // 2**level, 12 // 2**level)


def test_takes_the_guide_that_a_method_changes():
    image, outs = torch.rand(1, 3, 8, 8), []
    for factor in (1, 3):
        torch.manual_seed(0)
        outs.append(Restormer(**TINY, upsampler=dict(type=Enhancing, factor=factor))(image))
    assert not torch.allclose(*outs)


def test_checkpoints_of_lctc_load():
    """``up4_3.body`` and ``up4_3.para``, as the authors have them."""
    net = Restormer(**TINY, upsampler=dict(type='LCTC', kernel_size=11))
    theirs = {}
    for key, value in net.state_dict().items():
        for ours, name in (('upsample_modules.2', 'up4_3'), ('upsample_modules.1', 'up3_2'),
                           ('upsample_modules.0', 'up2_1'), ('large', 'body'), ('small', 'para')):
            key = key.replace(ours, name)
        theirs[key] = torch.randn_like(value)
    assert theirs['up4_3.body.weight'].shape == (64, 1, 11, 11)
    assert theirs['up4_3.para.bias'].shape == (32, )
    net.load_state_dict(theirs, strict=True)
    assert torch.equal(net.upsample_modules[2].large.weight, theirs['up4_3.body.weight'])


def test_stock_checkpoints_lack_the_steps_and_nothing_else():
    host, net = Restormer(**TINY), Restormer(**TINY, upsampler=dict(type='LCTC'))
    missing, unexpected = net.load_state_dict(host.state_dict(), strict=False)
    assert all(key.startswith('upsample_modules.') for key in missing) and len(missing) == 12
    assert sorted(unexpected) == [f'{up}.body.0.weight' for up in ('up2_1', 'up3_2', 'up4_3')]


@pytest.mark.parametrize('upsampler', [None, dict(type='FreqAvgUp')], ids=str)
def test_downsampler(upsampler):
    """FLC takes over the host's convolutions, with their keys."""
    net, host = Restormer(**TINY, upsampler=upsampler, downsampler=dict(type='FLC')), Restormer(
        **TINY)
    missing, _ = net.load_state_dict(host.state_dict(), strict=False)
    assert {key for key in missing if not key.startswith('upsample_modules.')} == {
        f'{down}.alpha' for down in ('down1_2', 'down2_3', 'down3_4')}
    out = net(torch.rand(2, 3, 13, 18))
    out.square().sum().backward()
    assert out.shape == (2, 3, 13, 18)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_two_pictures_of_a_dual_pixel_camera():
    net = Restormer(**TINY, inp_channels=6, dual_pixel_task=True, dual_keys=('left', 'right'))
    images = dict(left=torch.rand(2, 3, 13, 18), right=torch.rand(2, 3, 13, 18))
    assert net(images).shape == (2, 3, 13, 18)
    torch.nn.init.zeros_(net.output.weight)
    assert not net(images).any()  # not added to the images


@pytest.mark.parametrize('args', [
    {}, dict(upsampler=dict(type='FADE'), downsampler=dict(type='FLC')),
    dict(upsampler=dict(type='LCTC')), dict(LayerNorm_type='BiasFree')], ids=str)
def test_bfloat16(args, draw, half_precision):
    half_precision(draw(Restormer(**TINY, **args), std=0.1))


def test_mistakes():
    with pytest.raises(ValueError, match=r'four levels, got num_blocks=\[1, 1\]'):
        Restormer(num_blocks=[1, 1])
    with pytest.raises(ValueError, match="BiasFree', 'WithBias'.*'None'"):
        Restormer(LayerNorm_type='None')
    with pytest.raises(ValueError, match='inp_channels=6, out_channels=3'):
        Restormer(inp_channels=6)
    with pytest.raises(ValueError, match='images of 5x5 and more, got 4x20'):
        Restormer(**TINY)(torch.rand(1, 3, 4, 20))
    assert Restormer(**TINY)(torch.rand(1, 3, 5, 9)).shape == (1, 3, 5, 9)
