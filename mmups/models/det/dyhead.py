"""mmdet's DyHead with upsamplers between its levels.

``attend`` follows ``DyHeadBlock.forward`` of mmdet 3.3.0, ``mmdet/models/necks/dyhead.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from collections.abc import Sequence
from typing import Optional

from mmdet.models.necks import DyHead as HostDyHead
from mmdet.models.necks.dyhead import DyHeadBlock
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostDyHead)
class DyHead(HostDyHead):
    """Dynamic head with one upsampler per block, for all of its levels, as is all of a block.

    The guide is the map of the level that receives the coarser one, as it enters the block.

    Args:
        upsampler: The method and its arguments; None: bilinear with aligned corners, as in mmdet.
        kwargs: As in mmdet's DyHead.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or dict(mode='bilinear', align_corners=True),
                            self.out_channels,
                            guide_channels=block.spatial_conv_offset.in_channels)
            for block in self.dyhead_blocks)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps of ``in_channels``, finest first, to maps of ``out_channels`` and the same sizes."""
        maps = inputs
        for block, upsample in zip(self.dyhead_blocks, self.upsample_modules):
            maps = attend(block, upsample, maps)
        return tuple(maps)


def attend(block: DyHeadBlock, upsample: nn.Module, maps: Sequence[Tensor]) -> list[Tensor]:
    """One block: each level attends to itself and to its two neighbours."""
    outs = []
    for level, x in enumerate(maps):
        offset_and_mask = block.spatial_conv_offset(x)
        offset = offset_and_mask[:, :block.offset_dim]
        mask = offset_and_mask[:, block.offset_dim:].sigmoid()
        seen = [block.spatial_conv_mid(x, offset, mask)]
        if level > 0:
            seen.append(block.spatial_conv_low(maps[level - 1], offset, mask))
        if level + 1 < len(maps):
            high = block.spatial_conv_high(maps[level + 1], offset, mask)
            seen.append(upsample(high, x, x.shape[2:]))
        total = sum(entry * block.scale_attn_module(entry) for entry in seen)
        outs.append(block.task_attn_module(total / len(seen)))
    return outs
