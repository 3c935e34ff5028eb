"""mmseg's BiSeNetV1 and BiSeNetV2 with upsamplers.

``ContextPath.forward`` and ``BGALayer.forward`` follow mmseg 1.2.2,
``mmseg/models/backbones/bisenetv1.py`` and ``bisenetv2.py`` (Apache-2.0, OpenMMLab); held to them
by parity tests.
"""
from mmseg.models import backbones as hosts
from torch import Tensor

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    lift,
    lift_onto,
    register_slot,
)


class ContextPath(UpsamplingPart):
    """mmseg's context path, 1/32 to 1/16 to 1/8, guided by the backbone's maps."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Image to the maps at 1/8 and 1/16."""
        _, x_8, x_16, x_32 = self.backbone(x)
        x = self.arm32(x_32) + self.gap_conv(x_32)
        context_16 = self.conv_head32(self.upsample_modules[0](x, x_16))
        x = self.arm16(x_16) + context_16
        return self.conv_head16(self.upsample_modules[1](x, x_8)), context_16


@register_slot(hosts.BiSeNetV1)
class BiSeNetV1(UpsamplingSlot, hosts.BiSeNetV1):
    """BiSeNetV1 whose context path upsamples."""

    guide = "the backbone's map"

    def parts(self) -> Parts:
        arm = self.context_path.arm16.conv_layer
        steps = [Step(arm.out_channels, guide) for guide in (arm.in_channels, arm.out_channels)]
        yield self, 'context_path', ContextPath(self.context_path, steps)


class BGALayer(UpsamplingPart):
    """mmseg's aggregation layer with upsamplers for the semantic branch, 1/32 to 1/8.

    Both of its maps climb two steps, ``upsample_modules[0:2]`` what gates the details and
    ``[2:4]`` what is added to them, guided by the semantic branch's map at 1/16 and the details.
    """

    def forward(self, x_d: Tensor, x_s: Tensor, x_mid: Tensor) -> Tensor:
        """Details at 1/8, semantic maps at 1/32 and 1/16 to their aggregation at 1/8."""
        details, ups = self.detail_dwconv(x_d), self.upsample_modules
        fine = details * lift(self.semantic_conv(x_s), [x_mid, details], ups[:2]).sigmoid()
        coarse = self.detail_down(x_d) * self.semantic_dwconv(x_s).sigmoid()
        return self.conv(lift_onto(fine, coarse, [x_mid], ups[2:]))


@register_slot(hosts.BiSeNetV2)
class BiSeNetV2(UpsamplingSlot, hosts.BiSeNetV2):
    """BiSeNetV2 whose aggregation layer upsamples."""

    guide = "the semantic branch's map at 1/16, the details"

    def parts(self) -> Parts:
        out, middle = self.bga.out_channels, self.semantic_channels[-2]
        yield self, 'bga', BGALayer(self.bga, [Step(out, guide) for guide in (middle, out) * 2])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Image to the maps of ``out_indices``."""
        if not self.swapped:
            return super().forward(x)
        *semantic, x_s = self.semantic(x)
        outs = [self.bga(self.detail(x), x_s, semantic[-2]), *semantic]
        return tuple(outs[i] for i in self.out_indices)
