"""One slot, as small as its host allows, and what is to be known of it."""
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Optional

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from torch import Tensor, nn

from mmups.models import SLOTS

C = 32  # channels of every map that is upsampled, where the host lets us choose
UP, DOWN = 'up', 'down'


def pyramid(channels, size, rounding=UP):
    """Random maps of a backbone, finest first; each next one has half the size."""
    maps = []
    for c in channels:
        maps.append(torch.randn(2, c, *size))
        size = tuple((n + (rounding == UP)) // 2 for n in size)
    return maps


@dataclass(frozen=True)
class SlotCase:
    """A slot with small arguments.

    Attributes:
        name: Name of the case.
        host: The host's class as its registry knows it, ``'mmdet.FPN'``; the slot's own, where it
            stands in place of none.
        cfg: Config of the slot without an upsampler, ``type='mmups.X'``. With the host's type it
            must be a config of the host.
        channels: Channels of the input maps, finest first, each half as large as the one before.
        count: Number of upsamplers.
        others: Number of interpolations at the sites of the slot's other keys.
        guided: Whether the slot gives a guide.
        key: Config key of the upsampler.
        parity: False: this topology is not the host's, so that nothing is compared with it.
        same_as_host: The ``upsampler`` that equals the host's own; None: the host's is learned.
        options: Further arguments of the host to hold the slot to the host with, by name.
        size: Size of the finest map.
        odd_size: Another one; None: the slot needs even sizes, as its host does.
        host_odd: False: the host itself needs even sizes, the slot with an upsampler does not.
        finest: Size of the first output for these maps; None: it is not a map.
        call: How the module is called with its maps.
        unfit: Upsamplers that this slot refuses, for a channel count, a factor...
        takes_init_cfg: Whether the host does.
        bfloat16_error: How far autocast may be from float32; None: the host has no bfloat16.
        inputs: In place of ``channels``: (size, rounding) to the list of input tensors.
    """

    name: str
    host: str
    cfg: dict
    channels: tuple
    count: int
    guided: bool = True
    key: str = 'upsampler'
    parity: bool = True
    same_as_host: Optional[dict] = None
    options: dict = field(default_factory=dict)
    size: tuple = (32, 48)
    odd_size: Optional[tuple] = (37, 53)
    host_odd: bool = True
    finest: Callable = staticmethod(lambda maps: maps[0].shape[2:])
    call: Callable = staticmethod(lambda module, maps: module(tuple(maps)))
    unfit: tuple = ()
    takes_init_cfg: bool = True
    bfloat16_error: Optional[float] = 0.05
    inputs: Optional[Callable] = None
    others: int = 0

    def build(self, upsampler=None, **kwargs) -> nn.Module:
        """The initialised slot with an upsampler (a name, a class or a dict; None: the host's)."""
        self.need_host()
        torch.manual_seed(0)
        if upsampler is not None:
            if not isinstance(upsampler, dict):
                upsampler = dict(type=upsampler)
            kwargs[self.key] = upsampler
        return initial(ROOT.build(dict(self.cfg, **kwargs)))

    def build_host(self, **kwargs) -> nn.Module:
        """The class that the slot replaces, with the same arguments."""
        self.need_host()
        torch.manual_seed(0)
        return initial(ROOT.build(dict(self.cfg, **kwargs, type=self.host)))

    @property
    def package(self) -> str:
        """The host's package, in whose scope its configs are; mmups for a network of its own."""
        slot = self.cfg['type'].removeprefix('mmups.')
        return next((package for package, slots in SLOTS.items() if slot in slots), 'mmups')

    def need_host(self) -> None:
        if not find_spec(self.package):
            pytest.skip(f'{self.package} is not installed')

    def maps(self, size=None, rounding=UP) -> list[Tensor]:
        torch.manual_seed(1)
        make = self.inputs or (lambda *args: pyramid(self.channels, *args))
        return make(size or self.size, rounding)

    def run(self, module: nn.Module, maps: list[Tensor]) -> list[Tensor]:
        """The slot's outputs as a flat list, which is never empty."""
        outs = list(flatten(self.call(module, maps)))
        assert outs
        return outs


def initial(module):
    if hasattr(module, 'init_weights'):  # not every host is mmengine's module
        module.init_weights()
    return module


def flatten(out):
    if torch.is_tensor(out):
        yield out
    else:
        for entry in out.values() if isinstance(out, dict) else out:
            yield from flatten(entry)
