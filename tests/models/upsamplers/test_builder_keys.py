"""Which keys a type takes: those of its own constructor, its parents', nobody else's."""
import functools

import pytest
from mmengine.config import Config, DictAction

from mmups.models import (
    CARAFE,
    LCTC,
    BaseUpsampler,
    DySample,
    build_upsampler,
    resolve_upsampler,
)
from mmups.registry import MODELS

WAY_OUT = (': a config that inherits them drops them by upsampler=dict(_delete_=True, type=...), a '
           'command line by --cfg-options <...>.upsampler._delete_=True <...>.upsampler.type=...')


def refusal(cfg):
    with pytest.raises(TypeError) as info:
        build_upsampler(cfg, 32, 32)
    return str(info.value)


@pytest.mark.parametrize(('cfg', 'start'), [
    (dict(type='CARAFE', style='lp', groups=4, dyscope=False),
     "CARAFE does not take ['dyscope', 'groups', 'style']; its keys are ['compressed_channels', "
     "'encoder_dilation', 'encoder_kernel', 'init_cfg', 'up_group', 'up_kernel']. "
     "['dyscope', 'groups', 'style'] are keys of DySample"),
    (dict(type='DySample', up_kernel=5, up_group=1, compressed_channels=64),
     "DySample does not take ['compressed_channels', 'up_group', 'up_kernel']; its keys are "
     "['dyscope', 'groups', 'init_cfg', 'static', 'style']. "
     "['compressed_channels', 'up_group', 'up_kernel'] "
     'are keys of CARAFE'),
    (dict(type='DySample', mode='nearest'),
     "DySample does not take ['mode']; its keys are "
     "['dyscope', 'groups', 'init_cfg', 'static', 'style']. "
     "['mode'] are keys of IndexNet, Interpolate"),
    (dict(type='Deconv', kernel_size=11, small_kernel_size=3),
     "Deconv does not take ['small_kernel_size']; its keys are ['groups', 'init_cfg', "
     "'kernel_size']. "
     "['small_kernel_size'] are keys of LCTC"),
    (dict(type='FADE', gating=True, embedding_dim=8, typo=1),
     "FADE does not take ['embedding_dim', 'typo']; its keys are ['compressed_channels', 'gating', "
     "'init_cfg', 'up_kernel']. ['embedding_dim'] are keys of ReSFU, SAPA, SAPADeform"),
])
def test_keys_of_another_type_say_the_way_out(cfg, start):
    assert refusal(cfg) == start + WAY_OUT


def test_a_typo_is_nobodys_key():
    assert refusal(dict(type='DySample', group=4)) == (
        "DySample does not take ['group']; its keys are "
        "['dyscope', 'groups', 'init_cfg', 'static', 'style']")


BASE = "model = dict(neck=dict(type='mmups.FPN', {}))\n"
PRESET = "upsampler = dict(type='CARAFE', up_kernel=3)\n"
INHERITED = "upsampler=dict(type='DySample', style='pl', groups=8)"


@pytest.fixture
def read(tmp_path):
    """``read(inherited, child)``: the upsampler of a child config over two bases."""
    def read(inherited, child):
        (tmp_path / 'base.py').write_text(BASE.format(inherited))
        (tmp_path / 'preset.py').write_text(PRESET)
        (tmp_path / 'child.py').write_text(f"_base_ = ['base.py', 'preset.py']\n{child}")
        return Config.fromfile(tmp_path / 'child.py')
    return read


@pytest.mark.parametrize('inherited', ['', INHERITED], ids=['nothing', 'dysample'])
@pytest.mark.parametrize(('child', 'kernel'), [
    ("model = dict(neck=dict(upsampler=dict(_delete_=True, type='CARAFE')))", 5),
    ('model = dict(neck=dict(upsampler=dict(_delete_=True, **_base_.upsampler)))', 3)])
def test_the_way_out_of_a_child_config(read, inherited, child, kernel):
    """Also where there was nothing to delete, which leaves ``_delete_`` in the config."""
    up = build_upsampler(read(inherited, child).model.neck.upsampler, 32)
    assert type(up) is CARAFE
    assert up.up_kernel == kernel
    with pytest.raises(TypeError, match='are keys of DySample'):
        build_upsampler(read(INHERITED, child.replace('_delete_=True, ', '')).model.neck.upsampler,
                        32)


@pytest.mark.parametrize('inherited', ['', INHERITED], ids=['nothing', 'dysample'])
@pytest.mark.parametrize('order', [1, -1])
def test_the_way_out_of_a_command_line(read, inherited, order):
    options = ['model.neck.upsampler._delete_=True', 'model.neck.upsampler.type=LCTC'][::order]
    pairs = (option.split('=') for option in options)
    cfg = read(inherited, '')
    cfg.merge_from_dict({key: DictAction._parse_int_float_bool(value) for key, value in pairs})
    assert type(build_upsampler(cfg.model.neck.upsampler, 32)) is LCTC


class Passing(DySample):
    """As people derive: own argument, the rest goes on."""

    def __init__(self, *args, strength=1., **kwargs):
        super().__init__(*args, **kwargs)
        self.strength = strength


class Mixin:

    def __init__(self, *args, colour='red', **kwargs):
        super().__init__(*args, **kwargs)
        self.colour = colour


class Mixed(Mixin, Passing):
    """No constructor of its own; two that pass on."""


class Closed(Passing):
    """Fixes what its parents leave open."""

    def __init__(self, in_channels, scale_factor=2, guide_channels=None):
        super().__init__(in_channels, scale_factor, guide_channels, groups=2)


class KeywordOnly(DySample):

    def __init__(self, *, in_channels, scale_factor, guide_channels, strength=1., **kwargs):
        super().__init__(in_channels, scale_factor, guide_channels, **kwargs)
        self.strength = strength


def logged(init):
    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        self.__dict__['calls'] = (args, kwargs)
        init(self, *args, **kwargs)
    return wrapper


class Wrapped(DySample):

    @logged
    def __init__(self, in_channels, scale_factor=2, guide_channels=None, strength=1.):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.strength = strength


class OpenEnded(DySample):
    """Reads its arguments itself; what it takes is known to nobody else."""

    def __init__(self, in_channels, scale_factor=2, guide_channels=None, **kwargs):
        strength = kwargs.pop('strength', 1.)
        super().__init__(in_channels, scale_factor, guide_channels, **kwargs)
        self.strength = strength


@pytest.fixture
def own():
    """The classes above, registered for one test."""
    classes = [Passing, Mixed, Closed, KeywordOnly, Wrapped, OpenEnded]
    for cls in classes:
        MODELS.register_module(module=cls)
    yield
    for cls in classes:
        del MODELS.module_dict[cls.__name__]


@pytest.mark.parametrize('by_name', [True, False])
@pytest.mark.parametrize(('cls', 'args'), [
    (Passing, dict(groups=8)), (Passing, dict(strength=2., style='pl', groups=8, init_cfg=None)),
    (Mixed, dict(groups=8, strength=2., colour='blue')), (Mixed, dict()), (Closed, dict()),
    (KeywordOnly, dict(groups=8, strength=2.)), (Wrapped, dict(strength=2.)),
    (OpenEnded, dict(strength=2., groups=8))])
def test_keys_go_where_a_constructor_passes_them(own, cls, args, by_name):
    cfg = dict(args, type=cls.__name__ if by_name else cls)
    assert resolve_upsampler(cfg) == (cls, args)
    up = build_upsampler(cfg, 32, 16, 4)
    assert (up.in_channels, up.scale_factor, up.guide_channels) == (32, 4, 16)
    for name, value in args.items():
        assert getattr(up, name) == value


@pytest.mark.parametrize('cls, args, keys', [
    (Passing, dict(grops=8), "['dyscope', 'groups', 'init_cfg', 'static', 'strength', 'style']"),
    (Passing, dict(args=(), kwargs={}),
     "['dyscope', 'groups', 'init_cfg', 'static', 'strength', 'style']"),
    (Mixed, dict(stregth=8),
     "['colour', 'dyscope', 'groups', 'init_cfg', 'static', 'strength', 'style']"),
    (Closed, dict(kwargs={}), '[]'),
    (Wrapped, dict(self=1), "['strength']"),
    (KeywordOnly, dict(grops=8),
     "['dyscope', 'groups', 'init_cfg', 'static', 'strength', 'style']"),
    (OpenEnded, dict(grops=8), "['dyscope', 'groups', 'init_cfg', 'static', 'style']"),
])
def test_a_typo_is_refused_by_name(cls, args, keys):
    """Whether mmups sees it or the last constructor that it reaches."""
    assert refusal(dict(args, type=cls)).startswith(
        f'{cls.__name__} does not take {sorted(args)}; its keys are {keys}')


def test_keys_of_ones_own_are_no_keys_of_another_type(own):
    """The hint knows registered classes of anybody, and does not blame a class for its own keys."""
    assert "['strength', 'style'] are keys of" in refusal(
        dict(type='CARAFE', strength=1., style='lp'))
    assert refusal(dict(type='Closed', style='lp')).startswith(
        "Closed does not take ['style']; its keys are []. ['style'] are keys of DySample")


def test_a_fault_inside_a_constructor_is_not_renamed():

    class Broken(Passing):

        def __init__(self, *args, **kwargs):
            super().__init__(*args, groups=2, **kwargs)

    assert type(build_upsampler(dict(type=Broken), 32)) is Broken
    assert "multiple values for keyword argument 'groups'" in refusal(dict(type=Broken, groups=4))


class NoGuide(BaseUpsampler):

    def __init__(self, in_channels, scale_factor=2):
        super().__init__(in_channels, scale_factor)

    def upsample(self, x, guide):
        return x


class PositionalOnly(DySample):

    def __init__(self, in_channels, scale_factor=2, guide_channels=None, /, groups=4):
        super().__init__(in_channels, scale_factor, guide_channels, groups=groups)


class ArgsAlone(DySample):

    def __init__(self, *args, strength=1.):
        super().__init__(*args)


@pytest.mark.parametrize(('cls', 'lacking'), [
    (NoGuide, 'no guide_channels by'),
    (PositionalOnly, 'no guide_channels and no in_channels and no scale_factor by'),
    (ArgsAlone, 'no guide_channels and no in_channels and no scale_factor by')])
def test_a_constructor_that_no_slot_can_call(cls, lacking):
    assert refusal(dict(type=cls)) == (
        f'{cls.__name__} takes {lacking} keyword; a slot builds {cls.__name__}(in_channels=..., '
        'scale_factor=..., guide_channels=..., and the keys of the config)')


@pytest.mark.parametrize(('name', 'meant'), [
    *((name, "type='DySample'") for name in ('dysample', 'DYSAMPLE', 'dy_sample', 'mmups.dysample',
                                             'Dysampel')),
    ('carafe', "type='CARAFE'"), ('dlu', "type='DLU'"),
    ('fade', "type='FADE'"), ('fade_lite', "type='FADELite'"),
    ('sapa', "type='SAPA'"), ('sapa-deform', "type='SAPADeform'"), ('lctc', "type='LCTC'"),
    ('lda_aqu', "type='LDAAQU'"), ('resfu', "type='ReSFU'"),
    ('pixel_shuffle', "type='PixelShuffle'"), ('deconv', "type='Deconv'"), ('a2u', "type='A2U'"),
    ('indexnet', "type='IndexNet'"), ('interpolate', "type='Interpolate'"),
    *((mode, f"dict(type='Interpolate', mode='{mode}')")
      for mode in ('nearest', 'bilinear', 'bicubic', 'area', 'nearest-exact'))])
def test_other_spellings_say_the_right_one(name, meant):
    """Those of the authors' forks and of PyTorch among them."""
    with pytest.raises(ValueError) as info:
        build_upsampler(dict(type=name), 32)
    assert str(info.value).startswith(f'upsampler type {name!r} is not an upsampler of mmups '
                                      f'(did you mean {meant}?); registered: A2U')


@pytest.mark.parametrize('name', ['NoSuch', 'Conv2d', 'mmups.FPN', '', 3, None])
def test_no_guess_where_nothing_is_near(name):
    with pytest.raises(ValueError) as info:
        build_upsampler(dict(type=name), 32)
    assert str(info.value).startswith(
        f'upsampler type {name!r} is not an upsampler of mmups; registered: A2U, CARAFE')
