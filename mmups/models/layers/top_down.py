"""The top-down pass of a feature pyramid."""
from collections.abc import Iterable, Sequence

from torch import Tensor, nn


def top_down(laterals: Iterable[Tensor], upsample_modules: Sequence[nn.Module]) -> list[Tensor]:
    """Add each level, upsampled, to the next finer one, from the coarsest to the finest.

    A method whose output holds the guide already (gated FADE) replaces the sum.

    Args:
        laterals: Maps (N, C, h_i, w_i), finest first; each is the guide of the one that it
            receives.
        upsample_modules: Module i takes level i+1 to level i.

    Returns:
        The merged maps, in the order and the sizes of ``laterals``.
    """
    maps = list(laterals)
    for i in range(len(maps) - 1, 0, -1):
        finer, upsample = maps[i - 1], upsample_modules[i - 1]
        out = upsample(maps[i], guide=finer, size=finer.shape[2:])
        maps[i - 1] = out if upsample.includes_guide else finer + out
    return maps
