"""The upsampling steps of a model, and what goes through them."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional

from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler


class Call(NamedTuple):
    """One call of an upsampler: its inputs, and what it returned."""
    x: Tensor
    guide: Optional[Tensor]
    out: Tensor


def upsampling_steps(model: nn.Module) -> dict[str, BaseUpsampler]:
    """The upsamplers below ``upsample_modules``, by their names in the model and in its order.

    Raises:
        ValueError: There is none.
    """
    found = {name: module for name, module in model.named_modules()
             if isinstance(module, BaseUpsampler) and 'upsample_modules' in name.split('.')}
    if not found:
        raise ValueError(f'{type(model).__name__} has no upsampling step of mmups; give its slot '
                         'an upsampler, plain interpolation is one: tools/swap.py CONFIG bilinear')
    return found


@contextmanager
def recording(model: nn.Module, receive: Callable[[str, Call], None]) -> Iterator[None]:
    """Call ``receive(name of the step, call)`` whenever a step of ``model`` has run.

    The tensors are the model's own: what is to be kept has to be detached.

    Raises:
        ValueError: There is no step.
    """
    def hook_of(name):
        def hook(module, args, kwargs, out):
            names = ('x', 'guide', 'size')
            given = {**dict(zip(names, args)), **kwargs}
            if given.get('fuse'):  # the guide comes back beside the map
                out, _ = out
            receive(name, Call(given['x'], given.get('guide'), out))
        return hook

    handles = [module.register_forward_hook(hook_of(name), with_kwargs=True)
               for name, module in upsampling_steps(model).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
