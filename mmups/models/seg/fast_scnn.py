"""mmseg's FastSCNN with upsamplers.

The ``forward`` methods follow mmseg 1.2.2, ``mmseg/models/backbones/fast_scnn.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch
from mmengine.model import BaseModule, ModuleList
from mmseg.models.backbones import FastSCNN as HostFastSCNN
from mmseg.models.backbones.fast_scnn import FeatureFusionModule as HostFeatureFusionModule
from mmseg.models.backbones.fast_scnn import GlobalFeatureExtractor as HostGlobalFeatureExtractor
from torch import Tensor

from mmups.models.layers import NoSite, lift, register_slot
from mmups.models.upsamplers import build_upsampler


class GlobalFeatureExtractor(BaseModule):
    """mmseg's extractor, which also returns the maps that it halves.

    Args:
        host: mmseg's module; its modules and their keys are taken over.
        strides: Those of its three stages.
    """

    def __init__(self, host: HostGlobalFeatureExtractor, strides: tuple[int, ...]):
        super().__init__()
        for name, module in host.named_children():
            self.add_module(name, module)
        self._strides = strides

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map at 1/8 to the global features and the halved maps, coarsest first."""
        halved = []
        for stage, stride in zip((self.bottleneck1, self.bottleneck2, self.bottleneck3),
                                 self._strides):
            if stride == 2:
                halved.insert(0, x)
            x = stage(x)
        return self.out(torch.cat([x, *self.ppm(x)], dim=1)), halved


class FeatureFusionModule(BaseModule):
    """The convolutions of mmseg's fusion after as many upsamplers as the extractor halves.

    Args:
        host: mmseg's module; its modules and their keys are taken over.
        upsampler: The method and its arguments.
        guide_channels: Channels of the halved maps, coarsest first.
    """

    def __init__(self, host: HostFeatureFusionModule, upsampler: dict, guide_channels: list[int]):
        super().__init__()
        for name, module in host.named_children():
            self.add_module(name, module)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, self.dwconv.in_channels, guide_channels=channels)
            for channels in guide_channels)

    def forward(self, higher: Tensor, lower: Tensor, halved: list[Tensor]) -> Tensor:
        """Map at 1/8, global features and their guides to the fused map at 1/8."""
        lower = self.dwconv(lift(lower, halved, self.upsample_modules))
        return self.relu(self.conv_higher_res(higher) + self.conv_lower_res(lower))


@register_slot(HostFastSCNN)
class FastSCNN(HostFastSCNN):
    """FastSCNN whose global features climb to 1/8 in steps of x2, guided by what was halved.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's FastSCNN.

    Raises:
        NoSite: ``upsampler`` where no global stage halves the map.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self._guides_fusion = upsampler is not None
        if upsampler is None:
            return
        strides = self.global_block_strides
        before = (self.global_in_channels, *self.global_block_channels)
        guide_channels = [c for c, stride in zip(before, strides) if stride == 2][::-1]
        if not guide_channels:
            raise NoSite(f'FastSCNN with global_block_strides={strides} upsamples nothing')
        self.global_feature_extractor = GlobalFeatureExtractor(self.global_feature_extractor,
                                                               strides)
        self.feature_fusion = FeatureFusionModule(self.feature_fusion, upsampler, guide_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the maps of ``out_indices``."""
        if not self._guides_fusion:
            return super().forward(x)
        higher = self.learning_to_downsample(x)
        lower, halved = self.global_feature_extractor(higher)
        outs = [higher, lower, self.feature_fusion(higher, lower, halved)]
        return tuple(outs[i] for i in self.out_indices)
