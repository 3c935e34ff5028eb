"""Time and memory of upsamplers as ratios to bilinear interpolation."""
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Optional, Protocol

import torch

from .latency import Effort, Timing, interleave, quartiles
from .memory import peak_memory
from .results import Results
from .upsampler_bench import Passes


class Bench(Protocol):
    """Where upsamplers are measured: alone, or in a model."""
    device: str
    conditions: dict  # what is measured, JSON-ready
    stem: str  # for names of files

    def baseline(self, memory_format: str) -> Passes:
        """Bilinear interpolation."""

    def candidate(self, upsampler: dict, memory_format: str) -> Passes:
        """An upsampler; ValueError: it does not fit here."""


def measure(bench: Bench, base: Passes, preset: str, upsampler: dict, backends: Sequence[str],
            memory_format: str, effort: Optional[Effort], clock: Optional[Callable] = None
            ) -> list[dict]:
    """Rows of one upsampler: one for each backend and pass.

    Every function is called once to see its memory, which is the warm-up for its time. The
    baseline takes part in every round of every row.

    Args:
        bench: Where.
        base: Its baseline in this memory format.
        preset: Name of the upsampler, for the rows.
        upsampler: Its config.
        backends: Names, as for :class:`mmups.ops.use_backend`.
        memory_format: As in :data:`MEMORY_FORMATS`.
        effort: How long; None: memory alone.
        clock: As for :func:`interleave`; default: that of the bench's device.

    Returns:
        JSON-ready rows: ``preset``, ``backend``, ``memory_format`` and ``pass``; ``peak_bytes``,
        ``bilinear_peak_bytes`` and ``output_bytes``; ``ratio``, the median over rounds, its
        ``quartiles`` and the ``ratios``; ``seconds`` and ``bilinear_seconds``, medians of one
        call; ``rounds``, ``calls`` and ``spent`` seconds. Or ``refused``, why the upsampler does
        not fit.
    """
    keys = [dict(preset=preset, backend=backend, memory_format=memory_format)
            for backend in backends]
    try:
        passes = bench.candidate(upsampler, memory_format)
    except ValueError as error:
        return [dict(key, refused=str(error)) for key in keys]
    device, rows = torch.device(bench.device), []
    for kind, reference in base.items():
        functions = {backend: dict(passes.on(backend).items())[kind] for backend in backends}
        base_peak = peak_memory(reference, device)
        peaks = {backend: peak_memory(function, device) for backend, function in functions.items()}
        timings = interleave(reference, functions, effort, clock or clock_of(device)) \
            if effort else {}
        rows += [{**key, 'pass': kind, 'peak_bytes': peaks[key['backend']],
                  'bilinear_peak_bytes': base_peak, 'output_bytes': base.output_bytes,
                  **_summary(timings.get(key['backend']))} for key in keys]
    return rows


def measure_all(bench: Bench, results: Results, upsamplers: Mapping[str, dict],
                backends: Sequence[str], memory_formats: Sequence[str],
                effort: Optional[Effort]) -> Iterator[list[dict]]:
    """Measure what ``results`` do not have yet, and write them after each upsampler.

    Args:
        bench: Where.
        results: What is there already.
        upsamplers: Name -> config.
        backends: As for :func:`measure`.
        memory_formats: As in :data:`MEMORY_FORMATS`.
        effort: As for :func:`measure`.

    Yields:
        The new rows of one upsampler.
    """
    for memory_format in memory_formats:
        base = None
        for preset, upsampler in upsamplers.items():
            missing = [backend for backend in backends if not results.has(
                preset=preset, backend=backend, memory_format=memory_format)]
            if missing:
                base = base or bench.baseline(memory_format)
                rows = measure(bench, base, preset, upsampler, missing, memory_format, effort)
                results.add(rows)
                yield rows


def _summary(timing: Optional[Timing]) -> dict:
    if timing is None:
        return {}
    low, middle, high = quartiles(timing.ratios)
    return dict(ratio=middle, quartiles=[low, high], ratios=timing.ratios,
                seconds=quartiles(timing.seconds)[1],
                bilinear_seconds=quartiles(timing.baseline)[1],
                rounds=len(timing.ratios), calls=timing.calls, spent=timing.spent)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds, when everything that the device was given has been computed."""
    if device.type != 'cuda':
        return time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return clock
