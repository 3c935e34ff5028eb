"""What a slot without an upsampler runs: its host's own resizing."""
import inspect
from collections.abc import Callable
from typing import Any, Optional

from torch import Tensor, nn


class HostResize(nn.Module):
    """A function of the host with the arguments of the host's config, called like an upsampler.

    Args:
        resize: ``torch.nn.functional.interpolate`` or a host's function of the same arguments.
        kwargs: As the host hands them over, untranslated. With a ``scale_factor`` that decides;
            where its result is not of the size wanted, at which the host would stop, the size
            takes its place.

    Raises:
        ValueError: ``kwargs`` has a key that ``resize`` does not take.
    """

    any_size = True
    includes_guide = False
    enhances_guide = False

    def __init__(self, resize: Callable, kwargs: dict[str, Any]):
        super().__init__()
        if unknown := kwargs.keys() - inspect.signature(resize).parameters.keys():
            raise ValueError(f'resizing does not take {sorted(unknown)}, got {dict(kwargs)}; an '
                             "upsampler has a key of its own: upsampler=dict(type='DySample', ...)")
        self.resize = resize
        self.kwargs = dict(kwargs)

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None) -> Tensor:
        """(N, C, h, w) to (N, C, *size); a guide is ignored."""
        kwargs = dict(self.kwargs)
        if 'scale_factor' in kwargs:
            out = self.resize(x, **kwargs)
            if size is None or out.shape[2:] == size:
                return out
            kwargs.pop('scale_factor')
            kwargs.pop('recompute_scale_factor', None)
        return self.resize(x, size=size, **kwargs)

    def extra_repr(self) -> str:
        return ', '.join(f'{key}={value!r}' for key, value in self.kwargs.items())
