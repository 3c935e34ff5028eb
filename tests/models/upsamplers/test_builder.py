"""What a slot's ``upsampler=dict(...)`` may say, and what is said when it may not."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope
from torch import nn

from mmups.models import (
    BaseUpsampler,
    DySample,
    Interpolate,
    build_upsampler,
    registered_upsamplers,
)
from mmups.registry import MODELS


class Guided(BaseUpsampler):
    """Returns the guide that it was given; knows two keys of its own."""

    guided = True

    def __init__(self, in_channels, scale_factor=2, guide_channels=None, alpha=1, beta=2,
                 init_cfg=None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.init_weights()

    def upsample(self, x, guide):
        self.seen = guide
        return guide[:, :1].expand(-1, self.in_channels, -1, -1)


@pytest.fixture
def guided():
    """A guided class, registered for one test."""
    MODELS.register_module(name='ToyGuided', module=Guided)
    yield Guided
    del MODELS.module_dict['ToyGuided']


def test_short_prefixed_and_class_types():
    for kind in ('DySample', 'mmups.DySample', DySample):
        up = build_upsampler(dict(type=kind, groups=2), 16, scale_factor=3)
        assert type(up) is DySample
        assert (up.in_channels, up.scale_factor, up.groups) == (16, 3, 2)


@pytest.mark.parametrize('scope', ['mmengine', 'mmseg', 'mmdet'])
def test_short_types_are_ours_in_any_scope(scope):
    """mmcv registers names like 'deconv' with the parent; a slot means the class of mmups."""
    with DefaultScope.overwrite_default_scope(scope):
        assert type(build_upsampler(dict(type='DySample'), 16)) is DySample


@pytest.mark.parametrize('cfg', [dict(mode='nearest'), dict(type='Interpolate', mode='nearest'),
                                 dict(scale_factor=2, mode='nearest')])
def test_hosts_dialect_is_interpolation(cfg):
    up = build_upsampler(cfg, 16)
    assert type(up) is Interpolate
    assert up.mode == 'nearest'


def test_cfg_is_left_as_it_was():
    cfg = ConfigDict(type='DySample', in_channels=16, groups=2)
    build_upsampler(cfg, 16)
    assert cfg == dict(type='DySample', in_channels=16, groups=2)


@pytest.mark.parametrize('kind', ['NoSuch', 'dysample', 'mmups.FPN', 'carafe', 'deconv', 'Conv2d',
                                  'nowhere.DySample', nn.Conv2d, None, 3])
def test_unknown_type_names_the_registered(kind):
    with pytest.raises(ValueError) as info:
        build_upsampler(dict(type=kind), 16)
    assert repr(kind) in str(info.value)
    for name in registered_upsamplers():
        assert name in str(info.value)


@pytest.mark.parametrize('cfg', ['DySample', DySample, None, [dict(type='DySample')]], ids=repr)
def test_what_is_not_a_dict_is_refused(cfg):
    with pytest.raises(ValueError) as info:
        build_upsampler(cfg, 16)
    assert f"configured by a dict such as dict(type='DySample'), got {cfg!r}" in str(info.value)


def test_unknown_key_names_the_valid_ones():
    with pytest.raises(TypeError) as info:
        build_upsampler(dict(type='DySample', group=4), 16)
    assert str(info.value) == ("DySample does not take ['group']; its keys are "
                               "['dyscope', 'groups', 'init_cfg', 'static', 'style']")


def test_unknown_keys_are_refused_for_every_type(case):
    with pytest.raises(TypeError, match=r"does not take \['typo'\].*'init_cfg'"):
        build_upsampler(dict(type=case.name, typo=1), 16, 16)


@pytest.mark.parametrize(('key', 'given', 'slot'), [
    ('scale_factor', 4, 2), ('in_channels', 8, 16), ('guide_channels', 3, 16)])
def test_contradiction_is_refused_and_agreement_is_not(key, given, slot):
    args = dict(in_channels=16, guide_channels=16, scale_factor=2)
    with pytest.raises(ValueError, match=f'{key}={given}.*{key}={slot}'):
        build_upsampler({'type': 'DySample', key: given}, **args)
    build_upsampler({'type': 'DySample', key: slot}, **args)


def test_registered_is_sorted_and_ours():
    found = registered_upsamplers()
    assert list(found) == sorted(found)
    assert set(found) >= {
        'A2U', 'CARAFE', 'DySample', 'Deconv', 'FADE', 'FADELite', 'IndexNet', 'Interpolate',
        'LCTC', 'PixelShuffle', 'SAPA', 'SAPADeform'}
    assert all(issubclass(cls, BaseUpsampler) for cls in found.values())
    assert 'DySample' not in ROOT.module_dict  # only under the prefix in other registries


def test_guided_type_in_a_slot_without_guide(guided):
    with pytest.raises(ValueError, match='Guided needs a guide.*DySample.*Interpolate') as info:
        build_upsampler(dict(type='ToyGuided'), 16)
    assert 'ToyGuided' not in str(info.value)  # no advice to use it all the same


@pytest.mark.parametrize('s', [2, 3])
@pytest.mark.parametrize('cut', [-1, 0, 1])
def test_guide_arrives_at_exactly_the_scaled_size(guided, s, cut):
    """Replicated at the bottom and the right where it is smaller, cropped where it is larger."""
    up = build_upsampler(dict(type='ToyGuided', alpha=3), 16, guide_channels=5, scale_factor=s)
    x, guide = torch.randn(2, 16, 4, 6), torch.randn(2, 5, 4 * s + cut, 6 * s - cut)
    out = up(x, guide)
    assert out.shape == (2, 16, *guide.shape[2:])
    assert up.seen.shape == (2, 5, 4 * s, 6 * s)
    rows = torch.arange(4 * s).clamp(max=guide.shape[2] - 1)
    columns = torch.arange(6 * s).clamp(max=guide.shape[3] - 1)
    assert torch.equal(up.seen, guide[:, :, rows][..., columns])
    # `size` has the last word over the output's size, not over the guide's.
    assert up(x, guide, (4 * s - 1, 6 * s)).shape[2:] == (4 * s - 1, 6 * s)
    assert up.seen.shape == (2, 5, 4 * s, 6 * s)


@pytest.mark.parametrize('shape', [(2, 4, 8, 12), (1, 5, 8, 12), (2, 5, 8), (2, 5, 10, 12),
                                   (2, 5, 8, 10), (2, 5, 4, 6)], ids=str)
def test_guide_of_wrong_shape_is_refused(guided, shape):
    up = build_upsampler(dict(type='ToyGuided'), 16, guide_channels=5)
    with pytest.raises(ValueError, match=rf"{', '.join(map(str, shape[-2:]))}\)"):
        up(torch.randn(2, 16, 4, 6), torch.randn(shape))


def test_missing_guide_is_refused_in_forward(guided):
    up = build_upsampler(dict(type='ToyGuided'), 16, guide_channels=5)
    with pytest.raises(ValueError, match='Guided needs a guide with 5 channels: call it'):
        up(torch.randn(2, 16, 4, 6))


def test_unneeded_guide_is_only_a_size(randomise):
    """Of any channels, batch and content, and out of the graph."""
    up = randomise(DySample(16, guide_channels=7))
    x, guide = torch.randn(2, 16, 4, 6), torch.full((1, 3, 8, 12), torch.nan, requires_grad=True)
    out = up(x, guide)
    assert torch.equal(out, up(x))
    out.sum().backward()
    assert guide.grad is None
