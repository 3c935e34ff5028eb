"""mmdet's YOLACTProtonet with upsamplers between its convolutions."""
from typing import Optional

from mmdet.models.dense_heads import YOLACTProtonet as HostYOLACTProtonet
from mmdet.models.dense_heads.yolact_head import InterpolateModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmups.models.layers import NoSite, UpsamplersLast, register_slot
from mmups.models.upsamplers import build_upsampler


class Step(BaseModule):
    """What stands in a host's nn.Sequential: one upsampler, under the name of all slots.

    Args:
        args: As in :func:`build_upsampler`, and so are the named ones.
    """

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.upsample_modules = ModuleList([build_upsampler(*args, **kwargs)])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, s*h, s*w)."""
        return self.upsample_modules[0](x)


@register_slot(HostYOLACTProtonet)
class YOLACTProtonet(UpsamplersLast, HostYOLACTProtonet):
    """Prototypes of YOLACT, whose interpolations become upsamplers; the slot has no guide.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmdet.
        kwargs: As in mmdet's YOLACTProtonet.

    Raises:
        NoSite: ``upsampler`` with ``proto_channels`` that interpolate nowhere.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        channels, steps = self.in_channels, 0
        for i, layer in enumerate(self.protonet):
            if isinstance(layer, InterpolateModule):
                self.protonet[i] = Step(upsampler, channels,
                                        scale_factor=layer.kwargs['scale_factor'])
                steps += 1
            elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                channels = layer.out_channels
        if not steps:
            raise NoSite(f'YOLACTProtonet with proto_channels={self.proto_channels} interpolates '
                         'nothing')
