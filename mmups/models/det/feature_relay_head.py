"""mmdet's FeatureRelayHead with an upsampler behind its linear layer."""
from typing import Optional

from mmdet.models.roi_heads.mask_heads import FeatureRelayHead as HostFeatureRelayHead

from mmups.models.layers import UpsampleStep, register_slot, whole_factor


@register_slot(HostFeatureRelayHead)
class FeatureRelayHead(HostFeatureRelayHead):
    """Step of SCNet from its box head to its mask head, 7x7 to 14x14; the slot has no guide.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmdet.
        kwargs: As in mmdet's FeatureRelayHead.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None:
            self.upsample = UpsampleStep(upsampler, self.out_conv_channels,
                                         scale_factor=whole_factor(self.scale_factor))
