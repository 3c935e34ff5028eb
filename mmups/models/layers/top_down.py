"""The top-down pass of a feature pyramid."""
from collections.abc import Callable, Iterable, Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from .sums import add_to_guide


def top_down(laterals: Iterable[Tensor], upsample_modules: Sequence[nn.Module],
             refine: Optional[Callable[[Tensor], Tensor]] = None) -> list[Tensor]:
    """Add each level, upsampled, to the next finer one, from the coarsest to the finest.

    Args:
        laterals: Maps (N, C, h_i, w_i), finest first; each is the guide of the one that it
            receives.
        upsample_modules: Module i takes level i+1 to level i.
        refine: Applied to each sum before it goes on.

    Returns:
        The merged maps, in the order and the sizes of ``laterals``.
    """
    maps = list(laterals)
    for i in range(len(maps) - 1, 0, -1):
        finer, upsample = maps[i - 1], upsample_modules[i - 1]
        out = upsample(maps[i], finer, finer.shape[2:])
        merged = add_to_guide(finer, out, upsample)
        maps[i - 1] = merged if refine is None else refine(merged)
    return maps


def extra_levels(neck: nn.Module, inputs: Sequence[Tensor], laterals: Sequence[Tensor],
                 outs: Sequence[Tensor]) -> list[Tensor]:
    """The levels of a host's FPN beyond its backbone's.

    Args:
        neck: The FPN, whose attributes have the same names in mmdet and mmseg.
        inputs: Maps of the backbone.
        laterals: The merged maps.
        outs: The pyramid so far.

    Returns:
        As many maps as ``outs`` lacks: max pooled, or strided convolutions (RetinaNet).
    """
    count = neck.num_outs - len(outs)
    extra = []
    if not neck.add_extra_convs:
        for _ in range(count):
            extra.append(F.max_pool2d([*outs, *extra][-1], 1, stride=2))
        return extra
    x = dict(on_input=inputs[neck.backbone_end_level - 1], on_lateral=laterals[-1],
             on_output=outs[-1])[neck.add_extra_convs]
    for conv in neck.fpn_convs[len(outs):]:
        if extra and neck.relu_before_extra_convs:
            x = F.relu(x)
        x = conv(x)
        extra.append(x)
    return extra
