"""mmdet's YOLACTProtonet with upsamplers between its convolutions."""
from typing import Optional

from mmdet.models.dense_heads import YOLACTProtonet as HostYOLACTProtonet
from mmdet.models.dense_heads.yolact_head import InterpolateModule
from torch import nn

from mmups.models.layers import NoSite, UpsamplersLast, UpsampleStep, register_slot


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
                self.protonet[i] = UpsampleStep(
                    upsampler, channels, scale_factor=layer.kwargs['scale_factor'])
                steps += 1
            elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                channels = layer.out_channels
            elif isinstance(layer, nn.ReLU):  # a recomputed step's output may be a view
                layer.inplace = False
        if not steps:
            raise NoSite(f'YOLACTProtonet with proto_channels={self.proto_channels} interpolates '
                         'nothing')
