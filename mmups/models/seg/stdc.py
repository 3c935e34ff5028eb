"""mmseg's STDCContextPathNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/stdc.py`` (Apache-2.0, OpenMMLab); held to
it by a parity test.
"""
from typing import Optional

import torch.nn.functional as F
from mmengine.model import ModuleList
from mmseg.models.backbones import STDCContextPathNet as HostSTDCContextPathNet
from torch import Tensor

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostSTDCContextPathNet)
class STDCContextPathNet(HostSTDCContextPathNet):
    """STDC with a context path that upsamples.

    ``upsample_modules[0]`` takes 1/32 to 1/16 and ``[1]`` 1/16 to 1/8, guided by the backbone's
    maps of these sizes.

    Args:
        backbone_cfg: As in mmseg's STDCContextPathNet, and so are all other keys.
        last_in_channels: Channels of the backbone's maps at 1/32 and 1/16.
        out_channels: Channels of the context path.
        upsampler: The method and its arguments; None: mmseg's ``upsample_mode``.
    """

    def __init__(self, backbone_cfg: dict, last_in_channels: tuple[int, int] = (1024, 512),
                 out_channels: int = 128, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(backbone_cfg, last_in_channels, out_channels, *args, **kwargs)
        resize = dict(mode=self.upsample_mode, align_corners=self.align_corners)
        finest = self.ffm.conv0.in_channels - out_channels  # which the fusion concatenates
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or resize, out_channels, guide_channels=channels)
            for channels in (last_in_channels[1], finest))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the backbone's map at 1/8, the path's at 1/16 and 1/8, and the fused map."""
        x_8, x_16, x_32 = self.backbone(x)
        x = self.conv_avg(F.adaptive_avg_pool2d(x_32, 1))
        path = []
        for coarse, fine, arm, upsample, conv in zip((x_32, x_16), (x_16, x_8), self.arms,
                                                     self.upsample_modules, self.convs):
            x = upsample(arm(coarse) + x, fine, fine.shape[2:])
            x = conv(x)
            path.append(x)
        return (x_8, *path, self.ffm(x_8, x))
