"""What a method means, whose output holds its guide (gated FADE), where a host sums maps.

In such a sum every map counts once. For a method without the guide in its output these functions
add; nobody else asks for ``includes_guide``.
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
