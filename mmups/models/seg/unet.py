"""mmseg's UNet with upsamplers in its decoder.

``UpConvBlock.forward`` follows mmseg 1.2.2, ``mmseg/models/utils/up_conv_block.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.backbones import UNet as HostUNet
from mmseg.models.backbones.unet import DeconvModule, InterpConv
from torch import Tensor, nn

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    beside_guide,
    register_slot,
)


class UpConvBlock(UpsamplingPart):
    """mmseg's block around an upsampler, which is guided by the skip connection.

    Everything of the host's but its resizing is kept, with its keys and in its order: InterpConv's
    convolution after the upsampler (before it with ``conv_first=True``), DeconvModule's
    normalisation and activation.
    """

    def host_steps(self) -> list[Step]:
        first, second, *_ = next(self.upsample.children())
        self._conv_first = isinstance(first, ConvModule)
        if isinstance(self.upsample, DeconvModule):
            return [Step(first.in_channels, first.out_channels, out_channels=first.out_channels)]
        if self._conv_first:
            return [Step(first.out_channels, first.out_channels)]
        return [Step(second.in_channels, second.out_channels)]

    def adapt(self) -> None:
        next(self.upsample.children())[int(self._conv_first)] = nn.Identity()

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """Skip (N, C, H, W) and x (N, 2C, H/2, W/2) to (N, C, H, W)."""
        upsample, = self.upsample_modules
        if self._conv_first:
            x = self.upsample(x)
        x, skip = beside_guide(x, skip, upsample)
        if not self._conv_first:
            x = self.upsample(x)
        return self.conv_block(torch.cat([skip, x], dim=1))


@register_slot(HostUNet)
class UNet(UpsamplingSlot, HostUNet):
    """UNet whose decoder steps are upsamplers, one per level that is larger than the one below.

    With an upsampler, images may have any size.

    Raises:
        ValueError: ``upsampler``, and mmseg's block is neither InterpConv nor DeconvModule.
    """

    decided_by = ('strides', 'downsamples')
    guide = 'the skip connection'

    def parts(self) -> Parts:
        for name, block in self.decoder.named_children():
            if isinstance(block.upsample, (InterpConv, DeconvModule)):
                yield self.decoder, name, UpConvBlock(block)
            # Where the sizes are equal, mmseg has a convolution instead of a step.
            elif self.swapped and not isinstance(block.upsample, ConvModule):
                raise ValueError("an upsampler can replace upsample_cfg=dict(type='InterpConv') or "
                                 f"dict(type='DeconvModule'), got {type(block.upsample).__name__}")

    def adapt(self) -> None:
        self.decoder = ModuleList(self.decoder)  # mmengine's, which hands the initialisation on

    def _check_input_divisible(self, x: Tensor) -> None:
        if not self.swapped:
            super()._check_input_divisible(x)
