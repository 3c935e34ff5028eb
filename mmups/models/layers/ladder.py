"""From a coarse map to a finer one, rung by rung, or directly.

Plain interpolation takes all rungs in one step, as the hosts do. Any other method climbs, guided by
the map of each rung, unless its slot was built for direct steps: then each coarser map has one
module, of x2, x4, x8, and the finest map is the guide. Nobody else asks for ``any_size``.
"""
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from .slot import Step
from .sums import add_to_guide, beside_guide, terms_of_sum, without_guide


def leaps(upsample: nn.Module) -> bool:
    """Whether a method takes any number of rungs at once: one without a guide that reaches any
    size. To one with a guide the maps on the way matter, and each rung has its own weights."""
    return upsample.any_size and not getattr(upsample, 'guided', False)


def ladder_steps(channels: Sequence[int], direct: bool = False, **options: Any) -> list[Step]:
    """Steps for :func:`climb` and :func:`summands`.

    Args:
        channels: Channels of the maps, finest first, each map half as large as the one before.
            Every map keeps its own; the guide of a step has those of the level it reaches.
        direct: False: a step per rung. True: a step per coarser map, to the finest one.
        options: Further attributes of every step.
    """
    if direct:
        return [Step(channels[level], channels[0], 2**level, **options)
                for level in range(len(channels) - 1, 0, -1)]
    return [Step(channels[level], channels[rung], **options)
            for level in range(len(channels) - 1, 0, -1) for rung in range(level - 1, -1, -1)]


def climb(maps: Sequence[Tensor], upsample_modules: Iterable[nn.Module]) -> list[Tensor]:
    """Bring every map to the size of the finest one.

    Map i climbs i rungs, each guided by (and ending at the size of) the map of the next finer
    level as it came in. What the first of them makes of its guide, in a method that
    ``enhances_guide``, climbs in that map's place: hosts lay the result side by side.

    Args:
        maps: (N, C, h_i, w_i), finest first.
        upsample_modules: One per rung, those of the coarsest map first, each map's in climbing
            order: with four maps, 0, 1, 2 lift map 3, 3, 4 lift map 2 and 5 lifts map 1. Or one
            per map, for direct steps: 0 lifts map 3, 1 map 2, 2 map 1, guided by the finest map.

    Returns:
        Maps (N, C, h_0, w_0), in the order of ``maps``.
    """
    taken, lifted = list(maps), []
    for level, guides, modules in _climbs(maps, upsample_modules):
        x, guide = _lift_and_fuse(taken[level], guides, modules)
        taken[len(guides) - 1] = guide  # the level of the first guide
        lifted.append(x)
    return [taken[0], *lifted[::-1]]


def _lift_and_fuse(x: Tensor, guides: Sequence[Tensor], upsample_modules: Sequence[nn.Module]
                   ) -> tuple[Tensor, Tensor]:
    """The map at the last guide's size, and the first guide, each by itself."""
    if upsample_modules[-1].any_size:
        return lift(x, guides, upsample_modules), guides[0]
    fused = []
    for guide, upsample in zip(guides, upsample_modules):
        x, guide = beside_guide(x, guide, upsample)
        fused.append(guide)
    return x, fused[0]


def summands(maps: Sequence[Tensor], upsample_modules: Iterable[nn.Module]) -> list[Tensor]:
    """Maps whose sum is that of all ``maps``, brought to the size of the finest as in
    :func:`climb`, each once also where a method's output holds its guide."""
    lifted = []
    for level, guides, modules in _climbs(maps, upsample_modules):
        lifted.append(lift(maps[level], guides, modules, own_part=True))
    return terms_of_sum(maps[0], lifted[::-1], modules[-1]) if lifted else [maps[0]]


def _climbs(maps: Sequence[Tensor], upsample_modules: Iterable[nn.Module]
            ) -> Iterator[tuple[int, Sequence[Tensor], list[nn.Module]]]:
    """Each level but the finest, the coarsest first, with guides and modules of its rungs."""
    modules = list(upsample_modules)
    coarser = range(len(maps) - 1, 0, -1)
    if len(modules) < sum(coarser):  # direct steps
        yield from ((level, maps[:1], [module]) for level, module in zip(coarser, modules))
        return
    rungs = iter(modules)
    for level in coarser:
        yield level, maps[level - 1::-1], list(islice(rungs, level))


def lift(x: Tensor, guides: Sequence[Tensor], upsample_modules: Sequence[nn.Module],
         own_part: bool = False) -> Tensor:
    """Bring one map to the size of the last guide.

    Args:
        x: (N, C, h, w).
        guides: Maps of the finer levels, in climbing order.
        upsample_modules: One per guide.
        own_part: True: the guides are maps of a sum, and only the last one may be part of the
            result, as in :func:`terms_of_sum`.
    """
    rungs = list(zip(guides, upsample_modules))
    if leaps(rungs[-1][1]):
        rungs = rungs[-1:]
    for i, (guide, upsample) in enumerate(rungs, start=1):
        x = upsample(x, guide, guide.shape[2:])
        if own_part and i < len(rungs):
            x = without_guide(guide, x, upsample)
    return x


def lift_onto(total: Tensor, x: Tensor, guides: Sequence[Tensor],
              upsample_modules: Sequence[nn.Module]) -> Tensor:
    """The sum of a map and of a coarser one, which climbs to it as in :func:`lift`.

    Args:
        total: (N, C, H, W), the guide of the last rung.
        x: (N, C, h, w).
        guides: Those of the rungs before, in climbing order.
        upsample_modules: One per rung.
    """
    lifted = lift(x, [*guides, total], upsample_modules)
    return add_to_guide(total, lifted, upsample_modules[-1])


def hand_down(x: Tensor, guides: Sequence[Tensor],
              upsample_modules: Iterable[nn.Module]) -> list[Tensor]:
    """Add one map to all finer levels, which it reaches one after the other.

    Args:
        x: (N, C, h, w).
        guides: Maps (N, C, h_i, w_i) of the finer levels, in climbing order.
        upsample_modules: One per guide.

    Returns:
        The sums, in the order of ``guides``.
    """
    sums, source = [], x
    for guide, upsample in zip(guides, upsample_modules):
        out = upsample(x if leaps(upsample) else source, guide, guide.shape[2:])
        sums.append(add_to_guide(guide, out, upsample))
        source = without_guide(guide, out, upsample)
    return sums


def double(x: Tensor, guide: Tensor, upsample: nn.Module) -> Tensor:
    """Bring ``x`` to the guide's size, which is within a pixel of twice its own; where a host
    doubles whatever comes and fits the result afterwards, so does interpolation."""
    return upsample(x) if leaps(upsample) else upsample(x, guide, guide.shape[2:])


def crop_to_half(x: Tensor, size: tuple[int, int], upsample: nn.Module) -> Tensor:
    """``x`` without what twice of it has beyond ``size``, a pixel that some hosts round up to."""
    return x if leaps(upsample) else x[..., :(size[0] + 1) // 2, :(size[1] + 1) // 2]
