"""Where the time of a function goes, operator by operator."""
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile


class Hotspot(NamedTuple):
    """An operator within a function.

    Attributes:
        name: As PyTorch names it.
        share: Of the function's time, 0 to 1, without what the operator calls.
        seconds: Of one call of the function.
        calls: Of the operator in one call of the function.
    """
    name: str
    share: float
    seconds: float
    calls: float


def hotspots(function: Callable[[], object], device: torch.device, count: int = 12,
             repeats: int = 3) -> list[Hotspot]:
    """The operators that take the most time, in falling order, after a warm-up call.

    Args:
        function: Without arguments.
        device: Whose time, 'cpu' or 'cuda'.
        count: How many operators, at most.
        repeats: Calls of the function that the numbers are means of.

    >>> hotspots(lambda: torch.ones(9, 9) @ torch.ones(9, 9), torch.device('cpu'))[0].calls >= 1
    True
    """
    function()
    activities = [ProfilerActivity.CPU]
    if device.type == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        for _ in range(repeats):
            function()
    events = [(event.key, _microseconds(event, device), event.count)
              for event in profiler.key_averages()]
    total = sum(time for _, time, _ in events) or 1
    events.sort(key=lambda event: -event[1])
    return [Hotspot(name, time / total, time / 1e6 / repeats, calls / repeats)
            for name, time, calls in events[:count]]


def _microseconds(event, device: torch.device) -> float:
    if device.type == 'cpu':
        return event.self_cpu_time_total
    newer = getattr(event, 'self_device_time_total', None)
    return event.self_cuda_time_total if newer is None else newer
