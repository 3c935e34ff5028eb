"""mmseg's STDCContextPathNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/stdc.py`` (Apache-2.0, OpenMMLab); held to
it by a parity test.
"""
import torch.nn.functional as F
from mmseg.models.backbones import STDCContextPathNet as HostSTDCContextPathNet
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, register_slot


@register_slot(HostSTDCContextPathNet)
class STDCContextPathNet(UpsamplingSlot, HostSTDCContextPathNet):
    """STDC with a context path that upsamples, 1/32 to 1/16 to 1/8."""

    guide = "the backbone's map"

    def host_steps(self) -> list[Step]:
        channels = self.conv_avg.out_channels
        finest = self.ffm.conv0.in_channels - channels  # which the fusion concatenates
        host = dict(mode=self.upsample_mode, align_corners=self.align_corners)
        return [Step(channels, guide, host=host)
                for guide in (self.arms[1].conv_layer.in_channels, finest)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the backbone's map at 1/8, the path's at 1/16 and 1/8, and the fused map."""
        x_8, x_16, x_32 = self.backbone(x)
        x = self.conv_avg(F.adaptive_avg_pool2d(x_32, 1))
        path = []
        for coarse, fine, arm, upsample, conv in zip((x_32, x_16), (x_16, x_8), self.arms,
                                                     self.upsample_modules, self.convs):
            x = conv(upsample(arm(coarse) + x, fine))
            path.append(x)
        return (x_8, *path, self.ffm(x_8, x))
