"""mmseg's DDRNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/ddrnet.py`` (Apache-2.0, OpenMMLab); held
to it by a parity test.
"""
from typing import Union

from mmseg.models.backbones import DDRNet as HostDDRNet
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, lift_onto, register_slot


@register_slot(HostDDRNet)
class DDRNet(UpsamplingSlot, HostDDRNet):
    """DDRNet whose context branch climbs to the spatial branch's 1/8 in steps of x2.

    ``upsample_modules[0]`` lifts the map at 1/16, 1 and 2 that at 1/32, 3, 4 and 5 that at 1/64.
    With an upsampler, images may have any size.
    """

    guide = "the context branch's finer maps, then the spatial branch's"

    def host_steps(self) -> list[Step]:
        c_16, mid = self.compression_1.in_channels, self.compression_1.out_channels
        c_32, out = self.compression_2.in_channels, self.down_1.out_channels
        host = dict(mode='bilinear', align_corners=self.align_corners)
        return [Step(channels, guide, host=host) for channels, guide in [
            (mid, mid), (mid, c_16), (mid, mid), (out, c_32), (out, c_16), (out, out)]]

    def forward(self, x: Tensor) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """Image to the map at 1/8; in training after that of the first fusion."""
        context, spatial = self.context_branch_layers, self.spatial_branch_layers
        x, ups = self.stem(x), self.upsample_modules

        x_c, x_s = context[0](x), spatial[0](x)
        up = self.compression_1(self.relu(x_c))
        c_16 = x_c + self.down_1(self.relu(x_s))
        x_s = first = lift_onto(x_s, up, [], ups[:1])

        x_c, x_s = context[1](self.relu(c_16)), spatial[1](self.relu(x_s))
        up = self.compression_2(self.relu(x_c))
        c_32 = x_c + self.down_2(self.relu(x_s))
        x_s = lift_onto(x_s, up, [c_16], ups[1:3])

        x_s = spatial[2](self.relu(x_s))
        x_c = self.spp(context[2](self.relu(c_32)))
        out = lift_onto(x_s, x_c, [c_32, c_16], ups[3:])
        return (first, out) if self.training else out
