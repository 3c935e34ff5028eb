"""mmdet's DyHead with upsamplers between its levels.

``attend`` follows ``DyHeadBlock.forward`` of mmdet 3.3.0, ``mmdet/models/necks/dyhead.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from collections.abc import Sequence

from mmdet.models.necks import DyHead as HostDyHead
from mmdet.models.necks.dyhead import DyHeadBlock
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, register_slot


@register_slot(HostDyHead)
class DyHead(UpsamplingSlot, HostDyHead):
    """Dynamic head with one upsampler per block, for all of its levels, as is all of a block."""

    decided_by = ('num_blocks', )
    guide = 'the finer level as it enters the block'

    def host_steps(self) -> list[Step]:
        return [Step(self.out_channels, block.spatial_conv_offset.in_channels,
                     host=dict(mode='bilinear', align_corners=True))
                for block in self.dyhead_blocks]

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps of ``in_channels``, finest first and however many, to maps of ``out_channels`` and
        the same sizes."""
        self.check_maps(inputs, len(inputs))
        maps = inputs
        for block, upsample in zip(self.dyhead_blocks, self.upsample_modules):
            maps = attend(block, upsample, maps)
        return tuple(maps)


def attend(block: DyHeadBlock, upsample: nn.Module, maps: Sequence[Tensor]) -> list[Tensor]:
    """One block: each level attends to itself and to its two neighbours."""
    outs = []
    for level, x in enumerate(maps):
        offset, mask = block.spatial_conv_offset(x).tensor_split([block.offset_dim], dim=1)
        mask = mask.sigmoid()
        seen = [block.spatial_conv_mid(x, offset, mask)]
        if level > 0:
            seen.append(block.spatial_conv_low(maps[level - 1], offset, mask))
        if level + 1 < len(maps):
            high = block.spatial_conv_high(maps[level + 1], offset, mask)
            seen.append(upsample(high, x, x.shape[2:]))
        total = sum(entry * block.scale_attn_module(entry) for entry in seen)
        outs.append(block.task_attn_module(total / len(seen)))
    return outs
