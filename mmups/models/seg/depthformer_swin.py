"""The backbone of DepthFormer: a Swin transformer beside a convolution that keeps more detail.

Li, Chen, Liu and Jiang, "DepthFormer: Exploiting Long-Range Correlation and Local Information for
Accurate Monocular Depth Estimation" (arXiv:2203.14211). Follows a description of the model in the
Monocular-Depth-Estimation-Toolbox (Apache-2.0; none of its code was read); names of arguments and
state-dict keys are the toolbox's.

Deviations: none known. The convolution starts with PyTorch's weights, of which nothing is said.
"""
from typing import Any, Optional

from mmcv.cnn import build_norm_layer
from mmseg.models.backbones import SwinTransformer
from torch import Tensor, nn

from mmups.registry import MODELS


@MODELS.register_module()
class DepthFormerSwin(SwinTransformer):
    """Swin transformer with the map of a 7x7 convolution of stride 2 before its own.

    Args:
        args, kwargs: As in mmseg's SwinTransformer.
        stem_channels: Channels of that map.
        conv_norm_cfg: Its normalisation; None: BN.
    """

    def __init__(self, *args: Any, stem_channels: int = 64, conv_norm_cfg: Optional[dict] = None,
                 **kwargs: Any):
        super().__init__(*args, **kwargs)
        images = self.patch_embed.projection.in_channels
        self.conv1 = nn.Conv2d(images, stem_channels, 7, stride=2, padding=3, bias=False)
        self.stem_norm, norm = build_norm_layer(conv_norm_cfg or dict(type='BN'),
                                                stem_channels, postfix=1)
        self.add_module(self.stem_norm, norm)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) to maps of 1/2 (``stem_channels``), 1/4, 1/8, 1/16 and 1/32 of
        their size, rounded up."""
        stem = getattr(self, self.stem_norm)(self.conv1(x)).relu()
        return [stem, *super().forward(x)]
