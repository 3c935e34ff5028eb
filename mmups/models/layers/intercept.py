"""Upsampling in classes that have no slot: the host's own flow, with its interpolations taken over.

A slot knows its host: it has guides, climbs in steps of two, and leaves out a sum that a method
holds already. This one knows nothing of its host but what it asks of ``F.interpolate``
(``nn.Upsample`` and mmseg's ``resize`` end there), in which order.
"""
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Optional, Union

import torch
from torch import nn

from mmups.registry import MODELS

from .around_host import AroundHost
from .interpolations import RUNGS, Call, Calls, Interpolations
from .slot import NoSite, Step, UpsamplingSlot


def traced_steps(module: nn.Module, *runs: Callable[[], Any]) -> list[tuple[int, Optional[int]]]:
    """What a module asks of ``F.interpolate``, as :class:`Intercept` wants it.

    Args:
        module: Any module. Not changed.
        runs: Each runs ``module``, a copy of it, or a model that has it. Maps of two sizes, one
            twice the other, tell a factor of the architecture from one that an image happens to
            have (the pooled maps of a PPM), a batch of two images those who take one at a time.

    Returns:
        (channels, factor) of each call in one ``forward`` with a float map (N, C, h, w). Those of
        2, 4 and 8 are upsampling steps. The others stay with the host: 1 makes up for rounding,
        None has another ratio, or one that depends on the image.

    Raises:
        NoSite: None of the calls has a factor.
        ValueError: The calls are not the same in all forwards.

    >>> module = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=4))
    >>> traced_steps(module, lambda: module(torch.rand(1, 3, 8, 8)))
    [(8, 4)]
    """
    host, name, forwards = type(module), type(module).__name__, []

    @wraps(host.forward)
    def forward(self, *args, **kwargs):
        calls = Calls()
        with Interpolations(calls):
            out = host.forward(self, *args, **kwargs)
        forwards.append(calls.made)
        return out

    module.__class__ = type(name, (host, ), {'forward': forward})
    try:
        for run in runs:
            run()
    finally:
        module.__class__ = host
    if not forwards:
        raise ValueError(f'{name} was not run')
    if len({len(calls) for calls in forwards}) > 1:  # some are made only where sizes differ
        forwards = [[call for call in calls if call.factor != 1] for calls in forwards]
    if len({tuple(call.channels for call in calls) for calls in forwards}) > 1:
        raise ValueError(f'{name} interpolates other maps in one forward than in another, so that '
                         'its calls cannot be counted')
    steps = []
    for calls in zip(*forwards):
        factor, *others = {call.factor for call in calls}
        steps.append((calls[0].channels, None if others else factor))
    if not any(factor in RUNGS for _, factor in steps):
        raise NoSite(f'{name}, without an interpolation by 2, 4 or 8,', 'upsampler', ())
    return steps


@dataclass(frozen=True)
class InterceptedStep(Step):
    """An upsampling step whose sum, if there is one, the host makes itself.

    ``build`` raises a ValueError for a method whose output holds its guide.
    """

    @classmethod
    def of(cls, channels: int, factor: Optional[int]) -> list['InterceptedStep']:
        """Those of one call that :func:`traced_steps` lists."""
        return [cls(channels)] * RUNGS.get(factor, 0)

    def build(self, upsampler: Optional[dict]) -> Optional[nn.Module]:
        upsample = super().build(upsampler)
        if upsample is not None and upsample.includes_guide:
            raise ValueError(f'the output of {upsampler} holds its guide, which the host adds by '
                             'itself; a slot can leave that out')
        return upsample


@MODELS.register_module()
class Intercept(AroundHost, UpsamplingSlot):
    """Any class with upsamplers in the place of its interpolations.

    The result is an object of the host's class, with its methods, attributes and keys, whose
    ``forward`` hands its calls of ``F.interpolate`` to ``upsample_modules``, in their order.
    Methods with guides are refused, and a call by 4 or 8 takes two or three upsamplers in a row.

    Args:
        args, kwargs: As in the host.
        host: The class, or its name in the registry.
        steps: Channels and factor of each call in one ``forward``, as :func:`traced_steps` lists
            them.
        upsampler: As in :class:`UpsamplingSlot`.

    Raises:
        NoSite: An upsampler, and no factor in ``steps``.
        ValueError, TypeError: As in :func:`build_upsampler`; ``host`` is no class of modules, or
            uses a name that is needed here. In ``forward``: the calls are not those listed.

    >>> module = Intercept(host=nn.Upsample, scale_factor=4, steps=[(8, 4)],
    ...                    upsampler=dict(type='DySample'))
    >>> len(module.upsample_modules), module(torch.rand(1, 8, 5, 7)).shape
    (2, torch.Size([1, 8, 20, 28]))
    """

    host_draws_all = True

    def __init__(self, *args: Any, host: Union[str, type],
                 steps: Sequence[tuple[int, Optional[int]]], upsampler: Optional[dict] = None,
                 **kwargs: Any):
        self._listed = _checked(steps)
        super().__init__(*args, upsampler=upsampler, **kwargs)

    def host_steps(self) -> list[Step]:
        theirs = {*vars(self), *self._parameters, *self._buffers, *self._modules}
        _refuse(type(self), theirs & (_names(Intercept) | {'_keys', '_steps', 'upsample_modules'}))
        return [step for call in self._listed for step in InterceptedStep.of(*call)]

    @classmethod
    def _body_around(cls, host: type) -> dict[str, Any]:
        """A ``forward`` with the signature of the host's."""
        _refuse(host, {name for name in _names(Intercept) if hasattr(host, name)} | {
            name for parent in host.__mro__
            for name in inspect.signature(parent.__init__).parameters
            if name in ('host', 'steps', 'upsampler')})

        @wraps(host.forward)
        def forward(self, *args, **kwargs):
            if not self.swapped:
                return host.forward(self, *args, **kwargs)
            calls = _ListedCalls(self)
            with Interpolations(calls):
                out = host.forward(self, *args, **kwargs)
            calls.finish()
            return out

        return dict(forward=forward)


def _names(cls: type) -> set[str]:
    """What the slots' classes define, without what hosts define as well."""
    names = {name for parent in cls.__mro__[:-1] for name in vars(parent)}
    return {name for name in names if not name.startswith('__')} - {'init_weights'}


def _refuse(host: type, names: set[str]) -> None:
    if names:
        raise ValueError(f'{host.__name__} has {sorted(names)} of its own, which '
                         'mmups.Intercept needs for itself')


def _checked(steps: Any) -> tuple[tuple[int, Optional[int]], ...]:
    try:
        listed = tuple((channels, factor) for channels, factor in steps)
        if all(int(channels) == channels > 0 for channels, _ in listed) and all(
                factor in {None, 1, *RUNGS} for _, factor in listed):
            return listed
    except (TypeError, ValueError):  # no pairs, or no numbers
        pass
    raise ValueError('steps must be pairs of channels and a factor (2, 4, 8, or 1 or None for a '
                     f'call that stays with the host), got {steps!r}')


class _ListedCalls(Calls):
    """The calls of one forward, in the order in which they are listed.

    One that stays with the host may be missing, if its channels or sizes tell, and one that makes
    up for rounding may come between the others: both are often made at some sizes only.
    """

    def __init__(self, slot: Intercept):
        super().__init__()
        self.slot = slot
        self.listed = slot._listed
        self.modules = list(slot.upsample_modules)
        self.next = 0
        self.keeps_gradients = torch.is_grad_enabled()

    def take(self, call: Call) -> list[nn.Module]:
        for index in range(self.next, len(self.listed)):
            channels, factor = self.listed[index]
            if call.is_step(channels, factor):
                self.next = index + 1
                return self._modules(factor) if factor in RUNGS else []
            if factor in RUNGS:
                break
        if call.factor != 1:
            self._differ(f'interpolates {call}')
        return []

    def _modules(self, factor: int) -> list[nn.Module]:
        if self.keeps_gradients and not torch.is_grad_enabled():
            raise ValueError(
                f'{type(self.slot).__name__} upsamples where no gradients are kept, as in a '
                'checkpoint of activations (with_cp=True): its upsamplers would learn nothing. Set '
                'with_cp=False, or checkpoint the whole module')
        count = RUNGS[factor]
        taken, self.modules = self.modules[:count], self.modules[count:]
        return taken

    def finish(self) -> None:
        """All listed steps have been taken."""
        if self.modules:
            self._differ('ends')

    def _differ(self, what: str) -> None:
        mode = 'training' if self.slot.training else 'evaluation'
        left = list(self.listed[self.next:])
        expected = f'steps[{self.next}:] are {left}' if left else 'there are no more steps'
        raise ValueError(
            f'{type(self.slot).__name__} {what} in {mode}, where {expected}: it is not as it was '
            'when its steps were listed, or they depend on the mode, the batch or the image, and '
            'only a slot of its own can follow it')
