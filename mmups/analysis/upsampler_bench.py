"""What is measured of an upsampler: a call, and a call with its gradients."""
import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.models.upsamplers import build_upsampler
from mmups.ops import use_backend

#: Name -> how maps lie in memory.
MEMORY_FORMATS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}


@dataclass(frozen=True)
class Passes:
    """Functions without arguments.

    Attributes:
        forward: Inference, without a graph.
        training: Forward and backward, to the inputs and the parameters.
        output_bytes: Of what ``forward`` returns; None: it returns no map.
    """
    forward: Callable[[], object]
    training: Callable[[], object]
    output_bytes: Optional[int] = None

    def items(self) -> Iterable[tuple[str, Callable[[], object]]]:
        """Names as in results, and functions."""
        return ('forward', self.forward), ('forward+backward', self.training)

    def on(self, backend: str) -> 'Passes':
        """The same, computed by a backend of :mod:`mmups.ops`."""
        return replace(self, forward=partial(_on, backend, self.forward),
                       training=partial(_on, backend, self.training))


def _on(backend: str, function: Callable[[], object]) -> object:
    with use_backend(backend):
        return function()


@dataclass(frozen=True)
class UpsamplerBench:
    """Upsamplers on random maps (batch, channels, *size), brought to twice the size, in float32.

    The guide is (batch, guide_channels, 2*h, 2*w). The default is what the DySample paper measures
    (Liu et al., arXiv:2308.15085).

    Raises:
        ValueError: One of the numbers is not positive, or the device cannot be used.
    """
    channels: int = 256
    size: tuple[int, int] = (120, 120)
    batch: int = 1
    guide_channels: int = 256
    device: str = 'cpu'

    def __post_init__(self):
        numbers = (self.batch, self.channels, self.guide_channels, *self.size)
        if min(numbers) < 1:
            raise ValueError('batch, channels, guide channels, height and width must be 1 or more, '
                             f'got {", ".join(map(str, numbers))}')
        checked_device(self.device)

    @property
    def conditions(self) -> dict:
        """What is measured, JSON-ready."""
        return dict(measured='upsamplers x2', shape=[self.batch, self.channels, *self.size],
                    guide_channels=self.guide_channels, dtype='float32')

    @property
    def stem(self) -> str:
        """For names of files."""
        batch = f'{self.batch}x' if self.batch > 1 else ''
        return f'{batch}{self.channels}x{self.size[0]}x{self.size[1]}'

    def baseline(self, memory_format: str) -> Passes:
        """Bilinear interpolation by PyTorch itself."""
        return self._passes(nn.Identity(), memory_format, lambda module, x: F.interpolate(
            x, scale_factor=2, mode='bilinear', align_corners=False))

    def candidate(self, upsampler: dict, memory_format: str) -> Passes:
        """An upsampler, seeded.

        Raises:
            ValueError: It cannot be built for these channels.
        """
        torch.manual_seed(0)
        module = build_upsampler(upsampler, self.channels, self.guide_channels)
        return self._passes(module, memory_format, lambda module, x, *guide: module(x, *guide))

    def _passes(self, module: nn.Module, memory_format: str, run: Callable) -> Passes:
        layout = dict(device=self.device, memory_format=MEMORY_FORMATS[memory_format])
        torch.manual_seed(0)
        fine = [2 * n for n in self.size]
        inputs = [torch.randn(self.batch, self.channels, *self.size)]
        if getattr(module, 'guided', False):
            inputs.append(torch.randn(self.batch, self.guide_channels, *fine))
        inputs = [tensor.to(**layout).requires_grad_() for tensor in inputs]
        gradient = torch.randn(self.batch, self.channels, *fine).to(**layout)
        learning = module.to(**layout)
        predicting = copy.deepcopy(learning).eval()
        wanted = [*inputs, *learning.parameters()]

        @torch.no_grad()
        def forward() -> Tensor:
            return run(predicting, *inputs)

        def training() -> tuple[Tensor, ...]:
            return torch.autograd.grad(run(learning, *inputs), wanted, gradient)

        return Passes(forward, training, gradient.numel() * gradient.element_size())


def checked_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        ValueError: There is no such device here.
    """
    try:
        return torch.empty(0, device=name).device
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f'the device {name!r} cannot be used: {str(error).splitlines()[0]}; '
                         "'cpu' always can") from None
