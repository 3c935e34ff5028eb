"""What a method means for a host's fusion, if its output holds its guide, or it changes the guide.

Where a host sums maps, every map counts once. For a method without the guide in its output these
functions add; nobody else asks for ``includes_guide``. Where a host lays maps side by side, it
takes the guide as the method leaves it; nobody else asks for ``enhances_guide``.
"""
from collections.abc import Sequence

from torch import Tensor, nn


def add_to_guide(guide: Tensor, out: Tensor, upsample: nn.Module) -> Tensor:
    """The sum of a guide and of a map that ``upsample`` brought to its size."""
    return out if upsample.includes_guide else guide + out


def without_guide(guide: Tensor, out: Tensor, upsample: nn.Module) -> Tensor:
    """The same map's own part in that sum, which can go on to the next finer level."""
    return out - guide if upsample.includes_guide else out


def terms_of_sum(guide: Tensor, outs: Sequence[Tensor], upsample: nn.Module) -> list[Tensor]:
    """Maps whose sum is that of a guide and of one or more maps brought to its size."""
    if not upsample.includes_guide:
        return [guide, *outs]
    first, *others = outs
    return [first, *(without_guide(guide, out, upsample) for out in others)]


def beside_guide(x: Tensor, guide: Tensor, upsample: nn.Module) -> tuple[Tensor, Tensor]:
    """A map at its guide's size, and the guide, as :meth:`BaseUpsampler.fuse` gives them."""
    size = guide.shape[2:]
    # By a call of the module, which may be wrapped (sharded, checkpointed), not of its method.
    if upsample.enhances_guide:
        return upsample(x, guide, size, fuse=True)
    return upsample(x, guide, size), guide
