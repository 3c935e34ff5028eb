"""What is put into a module, and how the module is run, to see which maps reach its upsamplers."""
import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler


class Notes:
    """What the probes of a module noticed, wherever copies of them ran.

    Attributes:
        misfits: Key -> maps that do not fit.
    """

    def __init__(self):
        self.misfits: dict[str, str] = {}

    def __deepcopy__(self, memo: dict) -> 'Notes':
        return self


class Probe(BaseUpsampler):
    """Notes whether it is given maps that fit.

    Args:
        key: Config key that it stands for.
        notes: Where it notes maps that no upsampler of its factor can be fitted to.
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, *, key: str, notes: Notes):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.key = key
        self.notes = notes

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None) -> Tensor:
        if size is None and guide is None:
            return self.upsample(x, guide)
        size = guide.shape[2:] if size is None else size
        if any(abs(target - self.scale_factor * n) >= self.scale_factor
               for target, n in zip(size, x.shape[2:])):
            fine, coarse = ('x'.join(map(str, shape)) for shape in (size, x.shape[2:]))
            self.notes.misfits.setdefault(
                self.key, f'maps of {fine} and {coarse} are not x{self.scale_factor} apart')
        return F.interpolate(x, size=size)

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.scale_factor))


def run(module: nn.Module, inputs: Any) -> Any:
    """What a module returns for inputs of these shapes, in eval mode; the values mean nothing.

    On the meta device, where sizes cost nothing, or else, with operators that it lacks, on the CPU.
    """
    module.eval()  # not in one line: a ResNet's eval() returns nothing
    with torch.no_grad(), without_a_trace():
        try:
            empty = {id(tensor): tensor.to('meta')
                     for tensor in (*module.parameters(), *module.buffers())}
            return copy.deepcopy(module, empty)(like(inputs, 'meta'))
        except Exception:
            return module(like(inputs, 'cpu'))


def like(inputs: Any, device: str) -> Any:
    """Zeros on a device in the place of every tensor."""
    if torch.is_tensor(inputs):
        return torch.zeros_like(inputs, device=device)
    if isinstance(inputs, dict):
        return {key: like(value, device) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return tuple(like(value, device) for value in inputs)
    return inputs


@contextmanager
def without_a_trace() -> Iterator[None]:
    """Neither random numbers nor warnings of what runs in this context reach the caller."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
