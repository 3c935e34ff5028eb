"""mmseg's LightHamHead (SegNeXt) with upsamplers before its concatenation."""
from collections.abc import Iterable
from typing import Optional

from mmseg.models.decode_heads import LightHamHead as HostLightHamHead
from torch import Tensor, nn

from mmups.models.layers import build_ladder, climb, register_slot

from .head import UpsamplingHead


@register_slot(HostLightHamHead, optional=('logits_upsampler', ))
class LightHamHead(UpsamplingHead, HostLightHamHead):
    """SegNeXt's head, whose inputs climb to 1/8 in steps of x2: 2 + 1 upsamplers for three maps.

    They are ordered as in SegformerHead. The guide of each step is the input map of the level that
    it reaches.

    Args:
        upsampler: The method and its arguments; None: one interpolation per level, as in mmseg.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's LightHamHead.
    """

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        bilinear = dict(mode='bilinear', align_corners=self.align_corners)
        ladder = build_ladder(upsampler or bilinear, self.in_channels)
        return ladder or super().build_upsamplers(upsampler)

    def _transform_inputs(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        # All of the first one's size, so that mmseg's resizing has nothing left to do.
        return climb(super()._transform_inputs(inputs), self.upsample_modules)
