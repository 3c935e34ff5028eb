"""mmseg's DDRNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/ddrnet.py`` (Apache-2.0, OpenMMLab); held
to it by a parity test.
"""
from typing import Optional, Union

from mmengine.model import ModuleList
from mmseg.models.backbones import DDRNet as HostDDRNet
from torch import Tensor

from mmups.models.layers import add_to_guide, lift, register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostDDRNet)
class DDRNet(HostDDRNet):
    """DDRNet whose context branch climbs to the spatial branch's 1/8 in steps of x2.

    ``upsample_modules[0]`` lifts the map at 1/16, 1 and 2 that at 1/32, 3, 4 and 5 that at 1/64.
    Guides are the context branch's maps at 1/32 and 1/16, and at 1/8 the spatial branch's.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg. With one, images may
            have any size.
        kwargs: As in mmseg's DDRNet.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        c_16, spatial = self.compression_1.in_channels, self.compression_1.out_channels
        c_32, out = self.compression_2.in_channels, self.down_1.out_channels
        resize = dict(mode='bilinear', align_corners=self.align_corners)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or resize, channels, guide_channels=guide)
            for channels, guide in [(spatial, spatial), (spatial, c_16), (spatial, spatial),
                                    (out, c_32), (out, c_16), (out, out)])

    def forward(self, x: Tensor) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """Image to the map at 1/8; in training after that of the first fusion."""
        context, spatial, ups = (self.context_branch_layers, self.spatial_branch_layers,
                                 self.upsample_modules)
        x = self.stem(x)

        x_c, x_s = context[0](x), spatial[0](x)
        up = self.compression_1(self.relu(x_c))
        c_16 = x_c + self.down_1(self.relu(x_s))
        x_s = first = self._fuse(x_s, up, [], ups[:1])

        x_c, x_s = context[1](self.relu(c_16)), spatial[1](self.relu(x_s))
        up = self.compression_2(self.relu(x_c))
        c_32 = x_c + self.down_2(self.relu(x_s))
        x_s = self._fuse(x_s, up, [c_16], ups[1:3])

        x_s = spatial[2](self.relu(x_s))
        x_c = self.spp(context[2](self.relu(c_32)))
        out = self._fuse(x_s, x_c, [c_32, c_16], ups[3:])
        return (first, out) if self.training else out

    @staticmethod
    def _fuse(x_s: Tensor, x: Tensor, guides: list[Tensor], upsample_modules) -> Tensor:
        lifted = lift(x, [*guides, x_s], upsample_modules)
        return add_to_guide(x_s, lifted, upsample_modules[-1])
