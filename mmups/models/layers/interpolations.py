"""What a module asks of ``F.interpolate`` while it runs, and who answers."""
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmups.ops.fit import of_example

#: Factors that upsamplers take over -> how many of them, x2 each.
RUNGS = {2: 1, 4: 2, 8: 3}


class Call(NamedTuple):
    """What is asked of an interpolation."""

    channels: int
    coarse: tuple[int, int]
    fine: tuple[int, int]

    def differs_by_less(self, pixels: int, factor: int) -> bool:
        return all(abs(n - factor * m) < pixels for m, n in zip(self.coarse, self.fine))

    @property
    def factor(self) -> Optional[int]:
        """2, 4 or 8, by the rule that upsamplers have for sizes; 1 for what makes up for rounding,
        a few pixels or none; else None."""
        if all(n > m for m, n in zip(self.coarse, self.fine)):
            for factor in RUNGS:
                if self.differs_by_less(factor, factor):
                    return factor
        slight = all(3 * abs(n - m) <= m for m, n in zip(self.coarse, self.fine))
        return 1 if slight and self.differs_by_less(max(RUNGS), 1) else None

    def is_step(self, channels: int, factor: Optional[int]) -> bool:
        """Whether it can be one that is listed."""
        return channels == self.channels and (
            factor is None or factor == self.factor
            or factor in RUNGS and self.differs_by_less(factor, factor))

    def __str__(self) -> str:
        coarse, fine = ('x'.join(map(str, size)) for size in (self.coarse, self.fine))
        return f'{self.channels} channels from {coarse} to {fine}'


class Calls:
    """The calls of one forward, which the host may keep."""

    def __init__(self):
        self.made: list[Call] = []

    def take(self, call: Call) -> list[nn.Module]:
        """The modules that bring the map to its size; none: the host does."""
        self.made.append(call)
        return []


class Interpolations(TorchFunctionMode):
    """While it is active, ``calls`` says who brings maps to other sizes.

    It is not active in the upsamplers, nor is that of a module around this one.
    """

    def __init__(self, calls: Calls):
        super().__init__()
        self.calls = calls

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.interpolate:
            x, size = _request(*args, **kwargs)
            if x.dim() == 4 and x.is_floating_point():
                channels, *coarse = map(of_example, x.shape[1:])
                call = Call(channels, tuple(coarse), tuple(map(of_example, size)))
                if modules := self.calls.take(call):
                    with torch._C.DisableTorchFunction():
                        return _climb(x, size, modules)
        return func(*args, **kwargs)


def _request(input: Tensor, size: Any = None, scale_factor: Any = None, *args: Any, **kwargs: Any
             ) -> tuple[Tensor, tuple]:
    """The map and the size that ``F.interpolate`` is asked for."""
    given = scale_factor if size is None else size
    given = tuple(given) if isinstance(given, (tuple, list)) else (given, ) * (input.dim() - 2)
    if size is None:
        given = tuple(n * int(scale) if scale == int(scale) else int(n * scale)
                      for n, scale in zip(input.shape[2:], given))
    return input, given


def _climb(x: Tensor, size: tuple, modules: list[nn.Module]) -> Tensor:
    """``x`` to ``size``, by 2 with each module, over the sizes that a backbone has in between."""
    if modules[-1].any_size:
        return modules[-1](x, size=size)
    for left, upsample in zip(range(len(modules), 0, -1), modules):
        factor = 2**left
        x = upsample(x, size=tuple(2 * m + (n - factor * m + factor // 2 - 1) // (factor - 1)
                                   for m, n in zip(x.shape[2:], size)))
    return x
