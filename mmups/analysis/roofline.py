"""What upsamplers cost at the least, by formulas: multiply-adds, bytes, and a GPU's time for them.

A step is one pass of a kernel over memory. It reads each of its inputs once and writes its output
once, and takes as long as the slower of the two, moving its bytes or multiplying (the roofline
model; Williams, Waterman and Patterson, CACM 52(4), 2009). The steps are those of mmups's fused
operators with PyTorch's own around them, in inference. Launches of kernels, caches and whatever
else a real kernel loses are left out: a measured time is longer, or shows a mistake here.
"""
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmups.models.upsamplers import build_upsampler

from .roofline_methods import FORMULAS
from .roofline_steps import FLOAT32, GPU, Maps, Step, bilinear

#: Of the SXM module's data sheet; a multiply-add is two of its operations.
H100 = GPU('NVIDIA H100 SXM', bandwidth=3.35e12, vector=67e12 / 2, matrix=990e12 / 2)


def steps(upsampler: dict, maps: Maps) -> list[Step]:
    """What an upsampler does to bring a map to twice its size.

    Args:
        upsampler: The method and its arguments, as in a config.
        maps: What it gets.

    Raises:
        ValueError: It does not fit, or there are no formulas for it.
    """
    module = build_upsampler(upsampler, maps.channels, maps.channels)
    name = type(module).__name__
    if name not in FORMULAS:
        raise ValueError(f'mmups.analysis.roofline has no formulas for {name}; it has them for '
                         f'{", ".join(FORMULAS)}')
    return FORMULAS[name](module, maps)


def seconds(found: Iterable[Step], gpu: GPU, element: int) -> float:
    """One step after the other."""
    return sum(step.seconds(gpu, element) for step in found)


@dataclass(frozen=True)
class Prediction:
    """What the model says of an upsampler on a GPU.

    Attributes:
        macs, bytes: Per number of the output, in float32.
        seconds: In float32.
        ratio, half_ratio: To bilinear interpolation, in float32 and in bfloat16.
        longest: The kind of step that takes the longest, in float32.
        share: Its share of the time.
    """
    macs: float
    bytes: float
    seconds: float
    ratio: float
    half_ratio: float
    longest: str
    share: float


def predict(upsampler: dict, maps: Maps, gpu: GPU = H100) -> Prediction:
    """See :class:`Prediction`; the element of ``maps`` is not used.

    Raises:
        ValueError: As :func:`steps`.
    """
    times, ratios = [], []
    for element in (2, FLOAT32):
        given = replace(maps, element=element)
        found = steps(upsampler, given)
        times.append(seconds(found, gpu, element))
        ratios.append(times[-1] / seconds([bilinear(given)], gpu, element))
    kinds = dict.fromkeys(step.name for step in found)
    for kind in kinds:
        kinds[kind] = seconds((step for step in found if step.name == kind), gpu, FLOAT32)
    longest = max(kinds, key=kinds.get)
    numbers = maps.channels * maps.fine
    return Prediction(
        sum(step.macs for step in found) / numbers, sum(step.bytes for step in found) / numbers,
        times[1], ratios[1], ratios[0], longest, kinds[longest] / times[1])
