"""mmdet's FeatureRelayHead with an upsampler behind its linear layer."""
from collections.abc import Iterator

from mmdet.models.roi_heads.mask_heads import FeatureRelayHead as HostFeatureRelayHead
from torch import nn

from mmups.models.layers import UpsampleStep, UpsamplingPart, UpsamplingSlot, register_slot


@register_slot(HostFeatureRelayHead)
class FeatureRelayHead(UpsamplingSlot, HostFeatureRelayHead):
    """Step of SCNet from its box head to its mask head, 7x7 to 14x14."""

    def parts(self) -> Iterator[tuple[nn.Module, str, UpsamplingPart]]:
        yield self, 'upsample', UpsampleStep(self.upsample, self.out_conv_channels,
                                             self.scale_factor)
