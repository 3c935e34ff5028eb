"""Steps that change channels: the method itself, or a convolution before it."""
import pytest
import torch
from slot_cases.doubles import Enhancing, Guided, IncludesGuide

from mmups.models import LCTC, NAF, Interpolate, registered_upsamplers
from mmups.models.layers import ConvUpsample, Step, add_to_guide, beside_guide, upsampler_to


@pytest.mark.parametrize('name', registered_upsamplers())
def test_a_convolution_goes_before_who_cannot_change_them(name):
    cls = registered_upsamplers()[name]
    if cls is NAF:
        pytest.skip('guided by the image')
    step = upsampler_to(32, dict(type=name), 64, 32)
    assert isinstance(step, cls if cls.changes_channels else ConvUpsample)
    if isinstance(step, ConvUpsample):
        assert (step.upsample.in_channels, step.upsample.guide_channels) == (32, 32)
        assert {key: value.shape for key, value in step.conv.state_dict().items()} == {
            'weight': (32, 64, 1, 1)}
    out = step(torch.randn(2, 64, 4, 5), torch.randn(2, 32, 7, 10), (7, 10))
    assert out.shape == (2, 32, 7, 10)


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
def test_interpolation_and_the_convolution_commute(mode):
    """So that the order, which costs a quarter of the other one, is no restriction."""
    step = upsampler_to(3, dict(mode=mode), 8).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(step(x), step.conv(Interpolate(8, mode=mode)(x)), rtol=0, atol=1e-12)


def test_no_convolution_where_channels_stay():
    assert isinstance(upsampler_to(8, dict(mode='nearest'), 8), Interpolate)
    assert isinstance(Step(8).build(dict(type='Interpolate')), Interpolate)
    assert isinstance(Step(8, out_channels=4).build(dict(type='LCTC')), LCTC)


def test_the_guide_is_that_of_the_method():
    x, guide = torch.randn(1, 8, 2, 3), torch.randn(1, 4, 4, 6)
    step = upsampler_to(4, dict(type=Guided), 8, 4)
    plain = step(x, guide, (4, 6))
    assert torch.equal(step.upsample.calls[0][1], guide)
    assert torch.equal(add_to_guide(guide, plain, step), guide + plain)
    step = upsampler_to(4, dict(type=IncludesGuide), 8, 4)
    out = step(x, guide, (4, 6))
    assert step.includes_guide and add_to_guide(guide, out, step) is out
    step = upsampler_to(4, dict(type=Enhancing, factor=3), 8, 4)
    out, enhanced = beside_guide(x, guide, step)
    assert out.shape == guide.shape and torch.equal(enhanced, 3 * guide)


def test_errors_are_those_of_the_builder():
    with pytest.raises(ValueError, match='FADE needs a guide, and this slot has none'):
        upsampler_to(32, dict(type='FADE'), 64)
    with pytest.raises(ValueError, match='in_channels=32, groups=5'):
        upsampler_to(32, dict(type='DySample', groups=5), 64)
