"""How time grows with the size and the channels of a map."""
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import torch

from .latency import Effort
from .memory import free_memory
from .results import Results
from .speed import measure
from .upsampler_bench import UpsamplerBench


@dataclass(frozen=True)
class Growth:
    """Points around a bench: a quarter to 4 times its height and width at its channels, an eighth
    to 4 times its channels, the guide's too, at its size. From 256x120x120 that is sizes 30 to 480
    and channels 32 to 1024.

    Raises:
        ValueError: The bench's numbers are too small to be divided.
    """
    bench: UpsamplerBench

    def __post_init__(self):
        if min(self.bench.channels, self.bench.guide_channels) < 8 or min(self.bench.size) < 4:
            raise ValueError('growth needs 8 channels, 8 of the guide and a size of 4x4 at least, '
                             f'got {self.bench.channels}, {self.bench.guide_channels} and '
                             f'{"x".join(map(str, self.bench.size))}')

    @property
    def axes(self) -> dict[str, list[UpsamplerBench]]:
        """Name of an axis -> its points, rising."""
        here = self.bench
        return dict(
            size=[replace(here, size=tuple(int(n * factor) for n in here.size))
                  for factor in (0.25, 0.5, 1, 2, 4)],
            channels=[replace(here, channels=int(here.channels * factor),
                              guide_channels=int(here.guide_channels * factor))
                      for factor in (0.125, 0.25, 0.5, 1, 2, 4)])


def grow(growth: Growth, preset: str, upsampler: dict, backend: str, memory_format: str,
         effort: Effort) -> Iterator[dict]:
    """Measure an upsampler at every point of both axes, from the small to the large.

    A point is passed by where the one before it says that a call would take more time than the
    budget, or more than half of the free memory: its row has ``refused``.

    Yields:
        Rows as of :func:`mmups.analysis.measure`, with ``channels``, ``size`` and ``elements`` of
        the output; a point of both axes comes once.
    """
    seen = {}
    for points in growth.axes.values():
        before = None
        for bench in points:
            if bench not in seen:
                where = dict(channels=bench.channels, size=list(bench.size),
                             elements=elements(bench))
                reason = before and too_large(
                    *before, where['elements'], effort, free_memory(torch.device(bench.device)))
                if reason:
                    rows = [dict(preset=preset, backend=backend, memory_format=memory_format,
                                 refused=reason)]
                else:
                    rows = measure(bench, bench.baseline(memory_format), preset, upsampler,
                                   [backend], memory_format, effort)
                seen[bench] = [{**row, **where} for row in rows]
                yield from seen[bench]
            if 'refused' not in seen[bench][0]:
                before = seen[bench], elements(bench)


def grow_all(growth: Growth, results: Results, upsamplers: Mapping[str, dict],
             backends: Sequence[str], memory_formats: Sequence[str], effort: Effort
             ) -> Iterator[list[dict]]:
    """Measure the curves that ``results`` do not have yet, and write them one by one.

    Args:
        growth: The points.
        results: What is there already.
        upsamplers: Name -> config.
        backends: As for :func:`mmups.analysis.measure`.
        memory_formats: As in :data:`mmups.analysis.MEMORY_FORMATS`.
        effort: Of each point.

    Yields:
        The rows of a new curve.
    """
    for memory_format in memory_formats:
        for preset, upsampler in upsamplers.items():
            for backend in backends:
                if not results.has(preset=preset, backend=backend, memory_format=memory_format):
                    rows = list(grow(growth, preset, upsampler, backend, memory_format, effort))
                    results.add(rows)
                    yield rows


def curves(growth: Growth, rows: Iterable[dict]) -> dict[tuple[str, str], dict[str, list]]:
    """Measured rows as curves.

    Returns:
        Pass and axis -> name of a curve -> output elements and seconds of its points.
    """
    found = {}
    for row in rows:
        for axis, points in growth.axes.items():
            here = any((row['channels'], tuple(row['size'])) == (bench.channels, bench.size)
                       for bench in points)
            if here and 'seconds' in row:
                name = ', '.join((row['preset'], row['backend'], row['memory_format']))
                lines = found.setdefault((row['pass'], axis), {})
                lines.setdefault(name, []).append((row['elements'], row['seconds']))
    return found


def exponents(lines: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Optional[float]]:
    """Name of a curve -> its :func:`exponent`."""
    return {name: exponent(*zip(*points)) for name, points in lines.items()}


def elements(bench: UpsamplerBench) -> int:
    """Of the output."""
    return 4 * bench.batch * bench.channels * math.prod(bench.size)


def too_large(rows: Sequence[dict], measured: int, wanted: int, effort: Effort,
              free: Optional[int]) -> Optional[str]:
    """Why a point is passed by, as if time and memory grew in proportion; None: it is not.

    Args:
        rows: Of a smaller point.
        measured: Its elements.
        wanted: Elements of the point in question.
        effort: Its budget is the limit for one call.
        free: Bytes of memory; None: not known.
    """
    factor = wanted / measured
    seconds = factor * max(row['seconds'] for row in rows)
    if seconds > effort.budget:
        return f'a call would take about {seconds:.0f} s, the budget is {effort.budget:.0f} s'
    needed = factor * max(row['peak_bytes'] for row in rows)
    if free is not None and needed > free / 2:
        return f'it would take about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free'
    return None


def exponent(sizes: Sequence[float], times: Sequence[float]) -> Optional[float]:
    """b of the curve a * size**b that fits best in logarithms; None: fewer than two sizes.

    >>> exponent([1, 10, 100], [2, 20, 200])
    1.0
    """
    x, y = [math.log(size) for size in sizes], [math.log(time) for time in times]
    if len(set(x)) < 2:
        return None
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    slope = (sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y))
             / sum((a - x_mean)**2 for a in x))
    return round(slope, 12)
