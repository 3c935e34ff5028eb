"""Methods that change the channels of a map by themselves."""
import pytest
import torch
import torch.nn.functional as F

from mmups.models import LCTC, Deconv, PixelShuffle, build_upsampler, registered_upsamplers

CHANGING = sorted(name for name, cls in registered_upsamplers().items() if cls.changes_channels)


def test_who_changes_them():
    assert CHANGING == ['Deconv', 'FreqAvgUp', 'LCTC', 'PixelShuffle']


@pytest.mark.parametrize('channels', [(16, 8), (6, 9), (4, 4)], ids=str)
@pytest.mark.parametrize('name', CHANGING)
def test_shapes_and_gradients(name, channels):
    before, after = channels
    up = build_upsampler(dict(type=name), before, out_channels=after)
    assert (up.in_channels, up.out_channels) == channels
    x = torch.randn(2, before, 5, 6).contiguous(memory_format=torch.channels_last)
    out = up(x, size=(9, 12))
    assert out.shape == (2, after, 9, 12)
    assert out.is_contiguous(memory_format=torch.channels_last)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in up.parameters())
    assert up(x[:0]).shape == (0, after, 10, 12)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(up(x, size=(9, 12)), out, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(('kernel', 'small'), [(7, 3), (11, 3), (11, None)])
def test_lctc_in_half_as_many_groups_is_a_sum_of_pairs(kernel, small):
    """Of the depthwise outputs, with the same weights, and biases added by pairs."""
    args = dict(kernel_size=kernel, small_kernel_size=small)
    halving, depthwise = LCTC(8, out_channels=4, **args).double(), LCTC(8, **args).double()
    assert halving.large.groups == 4
    for half, full in zip(halving.children(), depthwise.children()):
        assert half.weight.shape == full.weight.shape == (8, 1, *half.kernel_size)
        half.weight.data.copy_(full.weight)
        half.bias.data.copy_(full.bias[::2] + full.bias[1::2])
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    pairs = depthwise(x)
    torch.testing.assert_close(halving(x), pairs[:, ::2] + pairs[:, 1::2], rtol=0, atol=1e-12)


def test_lctc_loads_the_authors_keys():
    """Their Restormer calls the paths ``body`` and ``para``; in front stands the host's name."""
    up = torch.nn.ModuleDict(dict(up4_3=LCTC(8, out_channels=4, kernel_size=7)))
    ours = {key: torch.randn_like(value) for key, value in up.state_dict().items()}
    theirs = {key.replace('large', 'body').replace('small', 'para'): value
              for key, value in ours.items()}
    assert set(theirs) == {f'up4_3.{path}.{name}' for path in ('body', 'para')
                           for name in ('weight', 'bias')}
    up.load_state_dict(theirs, strict=True)
    assert all(torch.equal(up.state_dict()[key], value) for key, value in ours.items())


def test_deconv_and_pixel_shuffle_are_pytorchs():
    x = torch.randn(2, 6, 4, 5)
    up = Deconv(6, groups=None, out_channels=4)
    assert up.groups == 2 and up.weight.shape == (6, 2, 3, 3)
    expected = F.conv_transpose2d(x, up.weight, up.bias, 2, 1, 1, groups=2)
    torch.testing.assert_close(up(x), expected)
    up = PixelShuffle(6, out_channels=4)
    conv = up.get_submodule('0')
    torch.testing.assert_close(up(x), F.pixel_shuffle(F.conv2d(x, conv.weight, conv.bias,
                                                               padding=1), 2))


@pytest.mark.parametrize(('cfg', 'message'), [
    (dict(type='DySample'), 'DySample keeps the channels of a map.*16 to become 8'),
    (dict(type='LCTC', out_channels=4), 'out_channels=4 contradicts the slot.*out_channels=8'),
    (dict(type='LCTC', groups=16), 'out_channels divisible by groups.*out_channels=8, groups=16'),
    (dict(type='LCTC', init='bilinear'), '16 channels become 8: leave it out')], ids=str)
def test_mistakes(cfg, message):
    with pytest.raises(ValueError, match=message):
        build_upsampler(cfg, 16, out_channels=8)


@pytest.mark.parametrize('name', CHANGING)
def test_channels_stay_where_no_slot_changes_them(name):
    assert build_upsampler(dict(type=name), 16).out_channels == 16
    with pytest.raises(ValueError, match='out_channels=8 contradicts the slot'):
        build_upsampler(dict(type=name, out_channels=8), 16)
    with pytest.raises(ValueError, match="out_channels must be a positive integer.*=0"):
        registered_upsamplers()[name](16, out_channels=0)
