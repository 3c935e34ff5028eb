"""mmseg's VPDDepthHead with upsamplers at the end of its decoder.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/vpd_depth_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch
from mmengine.model import ModuleList
from mmseg.models.decode_heads import VPDDepthHead as HostVPDDepthHead
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostVPDDepthHead, optional=('fusion_upsampler', ))
class VPDDepthHead(HostVPDDepthHead):
    """VPD's depth head, whose last two x2 steps are upsamplers without a guide.

    ``upsample_modules[0:2]`` are these steps; 2 takes the coarsest map to the size of the next
    finer one, which guides it. The decoder's transposed convolutions, which change the channels,
    stay.

    Args:
        upsampler: The method and its arguments at the end of the decoder; None: bilinear, as in
            mmseg.
        fusion_upsampler: The same for the coarsest map; None: nearest, as in mmseg.
        kwargs: As in mmseg's VPDDepthHead.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None,
                 fusion_upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        channels = self.decoder.conv_layers[0].out_channels
        self.decoder.up_sample = nn.Identity()
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or dict(mode='bilinear'), channels) for _ in range(2))
        self.upsample_modules.append(
            build_upsampler(fusion_upsampler or dict(mode='nearest'), self.in_channels[3],
                            guide_channels=self.in_channels[2]))

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Four maps, finest first, to depths."""
        *steps, fusion = self.upsample_modules
        coarsest = fusion(x[3], x[2], x[2].shape[2:])
        x = torch.cat([self.conv1(x[0]), self.conv2(x[1]), x[2], coarsest], dim=1)
        x = self.conv_aggregation(x)
        rows, columns = self.fmap_border
        x = x[:, :, :x.shape[2] - rows, :x.shape[3] - columns].contiguous()
        x = self.decoder(x)
        for upsample in steps:
            x = upsample(x)
        return torch.sigmoid(self.depth_pred_layer(x)) * self.max_depth
