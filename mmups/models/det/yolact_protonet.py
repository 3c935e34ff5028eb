"""mmdet's YOLACTProtonet with upsamplers between its convolutions."""
from mmdet.models.dense_heads import YOLACTProtonet as HostYOLACTProtonet
from mmdet.models.dense_heads.yolact_head import InterpolateModule
from torch import nn

from mmups.models.layers import Parts, UpsampleStep, UpsamplingSlot, register_slot


@register_slot(HostYOLACTProtonet)
class YOLACTProtonet(UpsamplingSlot, HostYOLACTProtonet):
    """Prototypes of YOLACT, whose interpolations become upsamplers."""

    decided_by = ('proto_channels', )

    def parts(self) -> Parts:
        channels = self.in_channels
        for name, layer in self.protonet.named_children():
            if isinstance(layer, InterpolateModule):
                yield self.protonet, name, UpsampleStep(layer, channels,
                                                        layer.kwargs['scale_factor'])
            channels = getattr(layer, 'out_channels', channels)

    def adapt(self) -> None:
        for layer in self.protonet:
            if isinstance(layer, nn.ReLU):  # a recomputed step's output may be a view
                layer.inplace = False

    def init_weights(self) -> None:
        """As in mmdet, whose draw of all layers by Xavier's rule fails at norms in an upsampler."""
        steps = {name: layer for name, layer in self.protonet.named_children()
                 if isinstance(layer, UpsampleStep)}
        for name in steps:
            setattr(self.protonet, name, nn.Identity())
        super().init_weights()
        for name, step in steps.items():
            setattr(self.protonet, name, step)
            for upsample in step.upsample_modules:
                upsample.init_weights()
