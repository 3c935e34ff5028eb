"""Peak memory of a function, by what PyTorch's allocators give out and take back."""
import re
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Optional

import torch
from torch.profiler import ProfilerActivity, profile


def peak_memory(function: Callable[[], object], device: torch.device) -> int:
    """Bytes that a call holds at most, beyond what was there before.

    On the CPU they are those that PyTorch's profiler reports of the allocator: of every tensor,
    and of scratch memory in compiled operators, where the calling thread asks for it. What other
    threads of an operator allocate, and libraries behind PyTorch's back, is not seen.

    Args:
        function: It is called once.
        device: Where it allocates, 'cpu' or 'cuda'.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = function()  # noqa: F841  kept until the profiler has stopped
    events = [event for event in profiler.profiler.kineto_results.events()
              if event.name() == '[memory]']
    events.sort(key=_start)
    return max(accumulate((event.nbytes() for event in events), initial=0))


def _start(event) -> int:
    return event.start_ns() if hasattr(event, 'start_ns') else event.start_us()


def free_memory(device: torch.device) -> Optional[int]:
    """Bytes that can still be had; None: not known here."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        text = Path('/proc/meminfo').read_text(encoding='utf-8')
    except OSError:
        return None
    found = re.search(r'^MemAvailable:\s*(\d+) kB$', text, re.M)
    return found and int(found.group(1)) * 1024
