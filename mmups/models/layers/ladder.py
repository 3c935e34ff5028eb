"""From a coarse map to a finer one, rung by rung."""
from collections.abc import Sequence
from itertools import islice

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmups.models.upsamplers import build_upsampler


def build_ladder(upsampler: dict, channels: Sequence[int]) -> ModuleList:
    """Upsamplers for :func:`climb`, one per rung.

    Args:
        upsampler: The method and its arguments.
        channels: Channels of the maps, finest first, each map half as large as the one before.
            Every map keeps its own; the guide of a rung has those of the level it reaches.
    """
    return ModuleList(
        build_upsampler(upsampler, channels[level], guide_channels=channels[rung])
        for level in range(len(channels) - 1, 0, -1) for rung in range(level - 1, -1, -1))


def climb(maps: Sequence[Tensor], upsample_modules: Sequence[nn.Module]) -> list[Tensor]:
    """Bring every map to the size of the finest one.

    Map i climbs i rungs, each guided by (and ending at the size of) the map of the next finer
    level as it came in.

    Args:
        maps: (N, C, h_i, w_i), finest first.
        upsample_modules: One per rung, those of the coarsest map first, each map's in climbing
            order: with four maps, 0, 1, 2 lift map 3, 3, 4 lift map 2 and 5 lifts map 1.

    Returns:
        Maps (N, C, h_0, w_0), in the order of ``maps``.
    """
    modules = iter(upsample_modules)
    lifted = [maps[0]]
    for level in range(len(maps) - 1, 0, -1):
        lifted.insert(1, lift(maps[level], maps[level - 1::-1], list(islice(modules, level))))
    return lifted


def lift(x: Tensor, guides: Sequence[Tensor], upsample_modules: Sequence[nn.Module]) -> Tensor:
    """Bring one map to the size of the last guide.

    Methods that reach any size in one step jump to the last rung.

    Args:
        x: (N, C, h, w).
        guides: Maps of the finer levels, in climbing order.
        upsample_modules: One per guide.
    """
    rungs = list(zip(upsample_modules, guides))
    if rungs[-1][0].any_size:
        rungs = rungs[-1:]
    for upsample, guide in rungs:
        x = upsample(x, guide, guide.shape[2:])
    return x
