"""mmseg's BiSeNetV1 and BiSeNetV2 with upsamplers.

``ContextPath.forward`` and ``BGALayer.forward`` follow mmseg 1.2.2,
``mmseg/models/backbones/bisenetv1.py`` and ``bisenetv2.py`` (Apache-2.0, OpenMMLab); held to them
by parity tests.
"""
from typing import Optional

from mmengine.model import BaseModule, ModuleList
from mmseg.models.backbones import BiSeNetV1 as HostBiSeNetV1
from mmseg.models.backbones import BiSeNetV2 as HostBiSeNetV2
from mmseg.models.backbones.bisenetv1 import ContextPath as HostContextPath
from mmseg.models.backbones.bisenetv2 import BGALayer as HostBGALayer
from torch import Tensor

from mmups.models.layers import add_to_guide, lift, register_slot
from mmups.models.upsamplers import build_upsampler


class ContextPath(BaseModule):
    """The modules of mmseg's context path with upsamplers between them.

    ``upsample_modules[0]`` takes 1/32 to 1/16 and ``[1]`` 1/16 to 1/8, guided by the backbone's
    maps of these sizes.

    Args:
        host: mmseg's module; its modules and their keys are taken over.
        upsampler: The method and its arguments.
        context_channels: Channels of the backbone's maps, 1/8 to 1/32.
    """

    def __init__(self, host: HostContextPath, upsampler: dict, context_channels: tuple[int, ...]):
        super().__init__()
        for name, module in host.named_children():
            self.add_module(name, module)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, context_channels[0], guide_channels=channels)
            for channels in context_channels[1::-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Image to the maps at 1/8 and 1/16."""
        _, x_8, x_16, x_32 = self.backbone(x)
        x = self.arm32(x_32) + self.gap_conv(x_32)
        x = self.upsample_modules[0](x, x_16, x_16.shape[2:])
        context_16 = self.conv_head32(x)
        x = self.arm16(x_16) + context_16
        x = self.upsample_modules[1](x, x_8, x_8.shape[2:])
        return self.conv_head16(x), context_16


@register_slot(HostBiSeNetV1)
class BiSeNetV1(HostBiSeNetV1):
    """BiSeNetV1 whose context path upsamples.

    Args:
        backbone_cfg, in_channels, spatial_channels: As in mmseg's BiSeNetV1, and so are all other
            arguments.
        context_channels: Channels of that backbone's maps, 1/8 to 1/32.
        upsampler: The method and its arguments; None: nearest, as in mmseg.
    """

    def __init__(self, backbone_cfg: dict, in_channels: int = 3,
                 spatial_channels: tuple[int, ...] = (64, 64, 64, 128),
                 context_channels: tuple[int, ...] = (128, 256, 512), *args,
                 upsampler: Optional[dict] = None, **kwargs):
        super().__init__(backbone_cfg, in_channels, spatial_channels, context_channels, *args,
                         **kwargs)
        if upsampler is not None:
            self.context_path = ContextPath(self.context_path, upsampler, context_channels)


class BGALayer(BaseModule):
    """mmseg's aggregation layer with upsamplers for the semantic branch, 1/32 to 1/8.

    Both of its maps climb two steps, ``upsample_modules[0:2]`` what gates the details and
    ``[2:4]`` what is added to them, guided by the semantic branch's map at 1/16 and the details.

    Args:
        host: mmseg's layer; its modules and their keys are taken over.
        upsampler: The method and its arguments.
        mid_channels: Channels of the map at 1/16.
    """

    def __init__(self, host: HostBGALayer, upsampler: dict, mid_channels: int):
        super().__init__()
        for name, module in host.named_children():
            self.add_module(name, module)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, host.out_channels, guide_channels=channels)
            for channels in (mid_channels, host.out_channels) * 2)

    def forward(self, x_d: Tensor, x_s: Tensor, x_mid: Tensor) -> Tensor:
        """Details at 1/8, semantic maps at 1/32 and 1/16 to their aggregation at 1/8."""
        details = self.detail_dwconv(x_d)
        gate = lift(self.semantic_conv(x_s), [x_mid, details], self.upsample_modules[:2])
        fine = details * gate.sigmoid()
        coarse = self.detail_down(x_d) * self.semantic_dwconv(x_s).sigmoid()
        coarse = lift(coarse, [x_mid, fine], self.upsample_modules[2:])
        return self.conv(add_to_guide(fine, coarse, self.upsample_modules[-1]))


@register_slot(HostBiSeNetV2)
class BiSeNetV2(HostBiSeNetV2):
    """BiSeNetV2 whose aggregation layer upsamples.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's BiSeNetV2.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self._guides_semantics = upsampler is not None
        if upsampler is not None:
            self.bga = BGALayer(self.bga, upsampler, self.semantic_channels[-2])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the maps of ``out_indices``."""
        if not self._guides_semantics:
            return super().forward(x)
        *semantic, x_s = self.semantic(x)
        outs = [self.bga(self.detail(x), x_s, semantic[-2]), *semantic]
        return tuple(outs[i] for i in self.out_indices)
