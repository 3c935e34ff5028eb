"""The rules on arguments that all upsamplers share: each raises ValueError and quotes the value."""
from numbers import Integral
from typing import Optional

import torch
from torch import nn

from mmups.ops import is_recording


def check_int(name: str, value: int, least: int = 1, most: Optional[int] = None,
              odd: bool = False) -> int:
    """An integer argument, as an int.

    Args:
        name: What the user calls it.
        value: An integer, NumPy's too; no bool, no float that happens to be whole.
        least: Smallest value.
        most: Largest value; None: no limit.
        odd: Only odd values.
    """
    if (isinstance(value, bool) or not isinstance(value, Integral) or value < least
            or (most is not None and value > most) or (odd and value % 2 == 0)):
        kind = 'odd integer' if odd else 'integer'
        if most is not None:
            allowed = f'an {kind} from {least} to {most}'
        else:
            allowed = f'a positive {kind}' if least == 1 else f'an {kind} of at least {least}'
        raise ValueError(f'{name} must be {allowed}, got {name}={value!r}')
    return int(value)


def check_groups(upsampler: nn.Module, name: str, groups: int) -> int:
    """A number of groups into which the channels of ``upsampler`` are split, as an int; those of
    its output too where it ``changes_channels``."""
    groups = check_int(name, groups)
    for key in ('in_channels', 'out_channels')[:1 + upsampler.changes_channels]:
        if (channels := getattr(upsampler, key)) % groups:
            raise ValueError(f'{type(upsampler).__name__} needs {key} divisible by {name}, got '
                             f'{key}={channels}, {name}={groups}')
    return groups


def check_out_channels(upsampler: nn.Module, out_channels: Optional[int]) -> int:
    """Channels of the output, as an int; None: those of the input."""
    return upsampler.in_channels if out_channels is None else check_int('out_channels',
                                                                        out_channels)


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, as a tuple of integers; unchecked while a graph is recorded."""
    if is_recording():  # sizes are tensors in a trace
        return size
    if (not isinstance(size, (tuple, list)) or len(size) != 2
            or not all(isinstance(n, (Integral, torch.SymInt)) and not isinstance(n, bool) and n > 0
                       for n in size)):
        raise ValueError(f'size must be two positive integers (height, width), got size={size!r}')
    return tuple(int(n) if isinstance(n, Integral) else n for n in size)
