"""mmseg's FastSCNN with upsamplers.

The ``forward`` methods follow mmseg 1.2.2, ``mmseg/models/backbones/fast_scnn.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.backbones import FastSCNN as HostFastSCNN
from torch import Tensor

from mmups.models.layers import Parts, Step, UpsamplingPart, UpsamplingSlot, lift, register_slot


class GlobalFeatureExtractor(UpsamplingPart):
    """mmseg's extractor, which also returns the maps that it halves."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map at 1/8 to the global features and the halved maps, coarsest first."""
        halved = []
        for stage in (self.bottleneck1, self.bottleneck2, self.bottleneck3):
            if stage[0].stride == 2:
                halved.insert(0, x)
            x = stage(x)
        return self.out(torch.cat([x, *self.ppm(x)], dim=1)), halved


class FeatureFusionModule(UpsamplingPart):
    """mmseg's fusion, after as many upsamplers as the extractor halves."""

    def forward(self, higher: Tensor, lower: Tensor, halved: list[Tensor]) -> Tensor:
        """Map at 1/8, global features and their guides to the fused map at 1/8."""
        lower = self.dwconv(lift(lower, halved, self.upsample_modules))
        return self.relu(self.conv_higher_res(higher) + self.conv_lower_res(lower))


@register_slot(HostFastSCNN)
class FastSCNN(UpsamplingSlot, HostFastSCNN):
    """FastSCNN whose global features climb to 1/8 in steps of x2."""

    decided_by = ('global_block_strides', )
    guide = 'what the extractor halved'

    def parts(self) -> Parts:
        before = (self.global_in_channels, *self.global_block_channels)
        steps = [Step(self.lower_in_channels, channels)
                 for channels, stride in zip(before, self.global_block_strides) if stride == 2]
        extractor, fusion = self.global_feature_extractor, self.feature_fusion
        yield self, 'global_feature_extractor', GlobalFeatureExtractor(extractor)
        yield self, 'feature_fusion', FeatureFusionModule(fusion, steps[::-1])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the maps of ``out_indices``."""
        if not self.swapped:
            return super().forward(x)
        higher = self.learning_to_downsample(x)
        lower, halved = self.global_feature_extractor(higher)
        outs = [higher, lower, self.feature_fusion(higher, lower, halved)]
        return tuple(outs[i] for i in self.out_indices)
