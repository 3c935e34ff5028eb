"""Arguments of constructors: one rule for integers, one for groups, in every class."""
import inspect
from typing import Optional, get_type_hints

import numpy as np
import pytest
import torch

from mmups.models import (
    CARAFE,
    DLU,
    FADE,
    LCTC,
    LDAAQU,
    SAPA,
    BaseUpsampler,
    Deconv,
    DySample,
    PixelShuffle,
    SAPADeform,
    registered_upsamplers,
)

OURS = {name: cls for name, cls in registered_upsamplers().items()
        if cls.__module__.startswith('mmups.')}
#: (class, name of an integer argument, whether None is a value)
INTEGERS = [(cls, name, hint is not int) for cls in OURS.values()
            for name, hint in get_type_hints(cls.__init__).items()
            if hint in (int, Optional[int])]
ODD = [(CARAFE, 'up_kernel'), (CARAFE, 'encoder_kernel'), (FADE, 'up_kernel'),
       (OURS['FADELite'], 'up_kernel'), (SAPA, 'up_kernel'), (PixelShuffle, 'kernel_size'),
       (LCTC, 'kernel_size'), (LCTC, 'small_kernel_size'), (DLU, 'up_kernel'),
       (LDAAQU, 'up_kernel'), (LDAAQU, 'encoder_kernel')]
GROUPS = [(CARAFE, 'up_group'), (DySample, 'groups'), (LCTC, 'groups'), (SAPADeform, 'groups'),
          (LDAAQU, 'groups'), (LDAAQU, 'heads'), (OURS['FreqFusion'], 'groups')]


def build(cls, **args):
    return cls(**{**dict(in_channels=32, scale_factor=2, guide_channels=32), **args})


def test_the_arguments_are_all_here():
    assert len(OURS) >= 12
    names = {(cls.__name__, name) for cls, name, _ in INTEGERS}
    assert {('CARAFE', 'compressed_channels'), ('CARAFE', 'encoder_dilation'),
            ('SAPA', 'embedding_dim'), ('SAPADeform', 'num_points'), ('Deconv', 'kernel_size'),
            ('LCTC', 'groups'), ('A2U', 'guide_channels')} <= names
    for cls in OURS.values():
        unhinted = set(inspect.signature(cls).parameters) - set(get_type_hints(cls.__init__))
        assert not unhinted, f'{cls.__name__}: {unhinted}'


@pytest.mark.parametrize('value', [0, -1, -3, 1.5, 3.0, np.float64(3), True, np.bool_(True), '3',
                                   (3, 3), [3], torch.tensor(True), torch.tensor(3.)], ids=repr)
@pytest.mark.parametrize(('cls', 'name', 'optional'), INTEGERS,
                         ids=lambda x: getattr(x, '__name__', str(x)))
def test_what_is_no_positive_integer_is_refused(cls, name, optional, value):
    with pytest.raises(ValueError) as info:
        build(cls, **{name: value})
    assert f'got {name}={value!r}' in str(info.value)
    if not optional:
        with pytest.raises(ValueError, match=f'got {name}=None'):
            build(cls, **{name: None})


@pytest.mark.parametrize(('cls', 'name'), ODD, ids=lambda x: getattr(x, '__name__', x))
@pytest.mark.parametrize('value', [2, 4, np.int64(6)])
def test_even_kernels_are_refused(cls, name, value):
    with pytest.raises(ValueError, match='odd integer') as info:
        build(cls, **{name: value})
    assert f'got {name}={value!r}' in str(info.value)


@pytest.mark.parametrize(('cls', 'name'), GROUPS, ids=lambda x: getattr(x, '__name__', x))
@pytest.mark.parametrize('value', [3, 64])
def test_groups_divide_the_channels(cls, name, value):
    with pytest.raises(ValueError) as info:
        build(cls, **{name: value})
    assert str(info.value) == (f'{cls.__name__} needs in_channels divisible by {name}, got '
                               f'in_channels=32, {name}={value}')


@pytest.mark.parametrize('dtype', [np.int64, np.int32, np.uint8])
def test_numpys_integers_are_integers(case, dtype):
    """The same module, with Python's integers in it: they travel in pickles and checkpoints."""
    args = dict(in_channels=case.channels, scale_factor=2, guide_channels=case.channels)
    for name, value in inspect.signature(case.cls).parameters.items():
        if type(value.default) is int:
            args.setdefault(name, value.default)
    args.update(case.args)
    up = case.cls(**{name: dtype(value) if type(value) is int else value
                     for name, value in args.items()})
    plain = case.cls(**args)
    assert {k: v.shape for k, v in up.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()}
    for module in up.modules():
        for name, value in vars(module).items():
            entries = value if isinstance(value, tuple) else (value, )
            assert not any(isinstance(entry, np.generic) for entry in entries), name


def test_positional_arguments():
    """As the table of the contract orders them: channels, scale, guide, then the paper's."""
    assert DySample(64, 2, None, 'pl', 8).offset.weight.shape == (16, 16, 1, 1)
    assert CARAFE(64, 2, None, 3, 2, 1, 1, 16).content_encoder.weight.shape == (72, 16, 1, 1)
    assert LCTC(64, 2, None, 7, None, 1).large.weight.shape == (64, 64, 7, 7)
    assert Deconv(8, 4, None, 5).weight.shape == (8, 8, 5, 5)
    assert SAPADeform(64, 2, 32, 4, 2, 8).offset.weight.shape == (64, 64, 1, 1)


@pytest.mark.parametrize('cls', [cls for cls in OURS.values() if cls.guided],
                         ids=lambda cls: cls.__name__)
def test_a_guided_class_without_a_guide_is_refused(cls):
    with pytest.raises(ValueError, match=f'{cls.__name__} needs a guide, got guide_channels=None'):
        cls(32)


@pytest.mark.parametrize('cls', OURS.values(), ids=lambda cls: cls.__name__)
def test_forward_is_the_bases(cls):
    """What it promises of sizes, dtypes and memory formats holds for all."""
    assert cls.forward is BaseUpsampler.forward
    kinds = {parameter.kind for parameter in inspect.signature(cls).parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_a_class_of_ones_own_can_reach_any_size():
    """The size that forward was asked for comes as the third argument."""

    class Constant(BaseUpsampler):
        any_size = True

        def upsample(self, x, guide, size):
            self.asked = size
            return x.double().mean((2, 3), keepdim=True).expand(-1, -1, *(size or (2, 2)))

    up = Constant(4)
    x = torch.rand(2, 4, 3, 5).contiguous(memory_format=torch.channels_last)
    out = up(x, size=[np.int64(7), 31])
    assert up.asked == (7, 31)
    assert out.shape == (2, 4, 7, 31)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    up(x, torch.rand(2, 1, 9, 8))
    assert up.asked == (9, 8)
    up(x)
    assert up.asked is None
