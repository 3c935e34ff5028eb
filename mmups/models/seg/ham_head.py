"""mmseg's LightHamHead (SegNeXt) with upsamplers before its concatenation."""
from mmseg.models.decode_heads import LightHamHead as HostLightHamHead
from torch import Tensor

from mmups.models.layers import Step, climb, register_slot

from .head import UpsamplingHead


@register_slot(HostLightHamHead)
class LightHamHead(UpsamplingHead, HostLightHamHead):
    """SegNeXt's head, whose inputs climb to 1/8 in steps of x2: 2 + 1 upsamplers for three maps.

    They are ordered as in SegformerHead.
    """

    guide = 'the next finer input'

    def own_steps(self) -> list[Step]:
        return self.ladder(self.in_channels, host=self.bilinear)

    def _transform_inputs(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        # All of the first one's size, so that mmseg's resizing has nothing left to do.
        return climb(super()._transform_inputs(inputs), self.upsample_modules)
