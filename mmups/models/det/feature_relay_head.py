"""mmdet's FeatureRelayHead with an upsampler behind its linear layer."""
from mmdet.models.roi_heads.mask_heads import FeatureRelayHead as HostFeatureRelayHead

from mmups.models.layers import Parts, UpsampleStep, UpsamplingSlot, register_slot


@register_slot(HostFeatureRelayHead)
class FeatureRelayHead(UpsamplingSlot, HostFeatureRelayHead):
    """Step of SCNet from its box head to its mask head, 7x7 to 14x14."""

    def parts(self) -> Parts:
        yield self, 'upsample', UpsampleStep(self.upsample, self.out_conv_channels,
                                             self.scale_factor)
