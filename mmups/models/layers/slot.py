"""The one scaffold of all slots: which steps a class of a host takes, and what takes them instead.

A slot is ``class X(UpsamplingSlot, HostX)``. It says what its host upsamples (``host_steps``, or
``parts`` where that happens in a module of the host), what an upsampler replaces (``adapt``), and
its flow (``forward``); how upsamplers are built, named, refused and initialised is said here.
"""
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Optional, Union

from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler, resolve_upsampler
from mmups.registry import MODELS

from .conv_upsample import upsampler_to
from .factor import whole_factor

IMAGE_CHANNELS = 3


class NoSite(ValueError):
    """With these arguments a slot has no step for a key, and so no use for an upsampler.

    Args:
        where: The slot, and the arguments that leave no step.
        key: The key.
        steps: Those that the slot has, for other keys.
    """

    def __init__(self, where: str, key: str, steps: Sequence['Step']):
        others = ', '.join(sorted({step.key for step in steps}))
        super().__init__(f'{where} has no upsampling step for {key}'
                         + (f'; it has steps for {others}' if others else ''))
        self.where = where
        self.steps = steps


@dataclass(frozen=True)
class Step:
    """One upsampling step of a host.

    Attributes:
        channels: Channels of the map.
        guide_channels: Channels of the map whose size it is brought to; None: there is no guide.
        factor: Ratio of the fine to the coarse size, in any form in which a host has it.
        key: Config key of the upsampler.
        host: What takes the step where no upsampler is configured: the config of one, or what
            makes the module; None: a layer of the host, which stays where it is.
        out_channels: Channels behind the step, where it changes them too: by the method if it
            can, else by a convolution before it (:class:`ConvUpsample`).
        image: Whether the slot gives the image to methods that are guided by it.
    """

    channels: int
    guide_channels: Optional[int] = None
    factor: Any = 2
    key: str = 'upsampler'
    host: Union[dict, Callable[[], nn.Module], None] = None
    out_channels: Optional[int] = None
    image: bool = False

    def build(self, upsampler: Optional[dict]) -> Optional[nn.Module]:
        """The module that takes this step; None: the host takes it by itself.

        Args:
            upsampler: The method and its arguments; None: ``host``.

        Raises:
            ValueError, TypeError: As in :func:`build_upsampler`; ``factor`` is one that no
                upsampler can have; the method is guided by the image, and the step has none.
        """
        cfg = self.host if upsampler is None else upsampler
        if cfg is None or callable(cfg):
            return cfg and cfg()
        guide_channels, (cls, _) = self.guide_channels, resolve_upsampler(cfg)
        if cls.image_guided:
            if not self.image:
                raise ValueError(f'{cls.__name__} is guided by the image, which does not reach '
                                 'this slot; docs/slots.md lists those that take it')
            guide_channels = IMAGE_CHANNELS
        return upsampler_to(self.out_channels or self.channels, cfg, self.channels, guide_channels,
                            whole_factor(self.factor))


class _Stepwise:
    """What a slot and a part of one have in common."""

    def host_steps(self) -> list[Step]:
        """The steps of the host as it was built, in the order of ``upsample_modules``."""
        return []

    def adapt(self) -> None:
        """Take out of the host, once ``upsample_modules`` is there, what it replaces."""

    def upsamplers_of(self, key: str) -> list[nn.Module]:
        """Those of ``upsample_modules`` that take the steps of ``key``, in their order."""
        return [module for module, owner in zip(self.upsample_modules, self._keys) if owner == key]

    def _install(self, steps: Iterable[Step], upsamplers: Mapping[str, Optional[dict]]) -> None:
        built = [(step.key, step.build(upsamplers[step.key])) for step in steps]
        built = [(key, module) for key, module in built if module is not None]
        self._keys = [key for key, _ in built]
        self.upsample_modules = ModuleList(module for _, module in built)
        self.swapped = frozenset(key for key, cfg in upsamplers.items() if cfg is not None)
        if self.swapped or built:
            self.adapt()


class UpsamplingPart(_Stepwise, BaseModule):
    """A module inside a slot's host, with upsamplers: ``forward`` is the subclass's own.

    Layers, their keys, and attributes of the host's module are taken over; it is left alone until
    an upsampler is configured.

    Args:
        host: The module of the host.
        steps: Its steps, where they take sizes that only the slot knows.
    """

    def __init__(self, host: nn.Module, steps: Iterable[Step] = ()):
        super().__init__(getattr(host, 'init_cfg', None))
        self._given_steps = list(steps)
        vars(self).update((k, v) for k, v in vars(host).items() if k not in vars(self))
        for name, module in host.named_children():
            self.add_module(name, module)

    def host_steps(self) -> list[Step]:
        return self._given_steps


#: What ``parts`` of a slot gives: owner and name of each module of the host that upsamples, and
#: what takes its place.
Parts = Iterable[tuple[nn.Module, str, UpsamplingPart]]


class UpsamplingSlot(_Stepwise):
    """Base of all slots, before the class of the host.

    Args:
        args, kwargs: As in the host, and the keys in ``optional``, each like ``upsampler``.
        upsampler: The method and its arguments, ``dict(type='DySample')``; None: what the host
            does. ``upsample_modules`` holds what is built, here or in the parts.

    Raises:
        NoSite: A key is configured, and with these arguments the host has no step for it.
        ValueError, TypeError: As in :func:`build_upsampler`.
    """

    #: Config keys of further sites, which a swap leaves alone unless they are asked for.
    optional: ClassVar[tuple[str, ...]] = ()
    #: Attributes of the host that decide which steps there are.
    decided_by: ClassVar[tuple[str, ...]] = ()
    #: Which maps guide the steps, for the table in docs/slots.md; None: there is no guide.
    guide: ClassVar[Optional[str]] = None
    #: True: the host's ``init_weights`` draws every layer beneath it anew, the upsamplers' too.
    host_draws_all: ClassVar[bool] = False

    def __init__(self, *args: Any, upsampler: Optional[dict] = None, **kwargs: Any):
        upsamplers = {key: kwargs.pop(key, None) for key in self.optional}
        upsamplers = {'upsampler': upsampler, **upsamplers}
        self.swapped = frozenset(key for key, cfg in upsamplers.items() if cfg is not None)
        super().__init__(*args, **kwargs)
        own, parts = self.host_steps(), list(self.parts())
        of_parts = [part.host_steps() for *_, part in parts]
        self._steps = (*(step for steps in of_parts for step in steps), *own)
        self._refuse_keys_without_a_step()
        if self.swapped:
            for (owner, name, part), steps in zip(parts, of_parts):
                part._install(steps, upsamplers)
                setattr(owner, name, part)
        self._install(own, upsamplers)

    def parts(self) -> Parts:
        """The modules of the host that upsample."""
        return ()

    def steps(self) -> list[Step]:
        """The steps that upsamplers take, or could take, of all keys."""
        return list(self._steps)

    @classmethod
    def of(cls, host: type, module: str, doc: str, **attributes: Any) -> type:
        """Make and register the slot in a class that needs nothing beyond this base.

        Args:
            host: The class of the host, whose name the slot has.
            module: Where the slot is defined, ``__name__``.
            doc: Its documentation.
            attributes: Attributes of the class.
        """
        body = dict(attributes, __module__=module, __doc__=doc)
        return register_slot(host)(type(host)(host.__name__, (cls, host), body))

    @classmethod
    def site_keys(cls) -> tuple[str, ...]:
        """Config keys of the sites."""
        return ('upsampler', *cls.optional)

    @classmethod
    def site_args(cls, cfg: dict, sizes: Callable[[], Optional[list[tuple[int, int]]]]) -> dict:
        """Keys that the config of a host lacks, and this slot needs in its place.

        Args:
            cfg: The config of the host's class.
            sizes: Gives (h, w) of the maps that reach it, or None if they cannot be found.

        Raises:
            ValueError: They are needed, and cannot be said.
        """
        return {}

    def check_maps(self, maps: Any, count: int) -> None:
        """Raise a ValueError unless ``maps`` is a list or tuple of as many maps."""
        if not isinstance(maps, (list, tuple)):
            got = f'a tensor of shape {tuple(maps.shape)}' if isinstance(maps, Tensor) else maps
            raise ValueError(f'this {type(self).__name__} takes a list of maps, got {got}')
        if len(maps) != count:
            raise ValueError(f'this {type(self).__name__} was built for {count} maps, got '
                             f'{len(maps)}')

    def init_weights(self) -> None:
        """As in the host, with the upsamplers' initial weights behind its own."""
        if hasattr(super(), 'init_weights'):
            super().init_weights()
        if not self.host_draws_all:
            return
        for module in self.modules():
            if isinstance(module, BaseUpsampler):
                module.init_weights()

    def _refuse_keys_without_a_step(self) -> None:
        if absent := self.swapped - {step.key for step in self._steps}:
            args = ', '.join(f'{name.split(".")[-1]}={attrgetter(name)(self)!r}'
                             for name in self.decided_by)
            where = f'{type(self).__name__} with {args}' if args else type(self).__name__
            raise NoSite(where, min(absent), self._steps)


#: Class of a host -> its slot. Subclasses of the host's class are classes of their own.
SLOT_OF: dict[type, type[UpsamplingSlot]] = {}


def register_slot(host: Optional[type] = None) -> Callable[[type], type]:
    """Decorator: the class joins the registry under its name, and replaces ``host`` in swaps.

    Args:
        host: The class that is replaced. Without any of its keys the slot computes what ``host``
            does. None: the class replaces none, it is a model of a paper that no host has.
    """
    def register(cls: type) -> type:
        MODELS.register_module()(cls)
        SLOT_OF[host or cls] = cls
        return cls
    return register
