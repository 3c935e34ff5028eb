"""mmseg's UNet with upsamplers in its decoder.

``UpConvBlock.forward`` follows mmseg 1.2.2, ``mmseg/models/utils/up_conv_block.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from mmseg.models.backbones import UNet as HostUNet
from mmseg.models.backbones.unet import DeconvModule, InterpConv
from mmseg.models.utils import UpConvBlock as HostUpConvBlock
from torch import Tensor, nn

from mmups.models.layers import NoSite, UpConv, register_slot
from mmups.models.upsamplers import build_upsampler


class UpConvBlock(BaseModule):
    """mmseg's block around an upsampler, which is guided by the skip connection.

    Everything of the host's but its resizing is kept, with its keys and in its order: InterpConv's
    convolution after the upsampler (before it with ``conv_first=True``), DeconvModule's
    normalisation and activation. Only the transposed convolution also changed the number of
    channels, for which the upsampler brings a 1x1 convolution.

    Args:
        host: mmseg's block.
        upsampler: The method and its arguments.

    Raises:
        ValueError: The host upsamples with neither InterpConv nor DeconvModule.
    """

    def __init__(self, host: HostUpConvBlock, upsampler: dict):
        super().__init__()
        self.conv_block = host.conv_block
        self.upsample = host.upsample
        self._conv_first = False
        if isinstance(self.upsample, InterpConv):
            steps = self.upsample.interp_upsample
            conv = next(step for step in steps if isinstance(step, ConvModule))
            self._conv_first = conv is steps[0]
            up = build_upsampler(upsampler,
                                 conv.out_channels if self._conv_first else conv.in_channels,
                                 guide_channels=conv.out_channels)
            steps[1 if self._conv_first else 0] = nn.Identity()
        elif isinstance(self.upsample, DeconvModule):
            steps = self.upsample.deconv_upsamping
            out_channels = steps[0].out_channels
            up = UpConv(upsampler, steps[0].in_channels, out_channels, guide_channels=out_channels)
            steps[0] = nn.Identity()
        else:
            raise ValueError("an upsampler can replace upsample_cfg=dict(type='InterpConv') or "
                             f"dict(type='DeconvModule'), got {type(self.upsample).__name__}")
        self.upsample_modules = ModuleList([up])

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """Skip (N, C, H, W) and x (N, 2C, H/2, W/2) to (N, C, H, W)."""
        if self._conv_first:
            x = self.upsample(x)
        x = self.upsample_modules[0](x, skip, skip.shape[2:])
        if not self._conv_first:
            x = self.upsample(x)
        return self.conv_block(torch.cat([skip, x], dim=1))


@register_slot(HostUNet)
class UNet(HostUNet):
    """UNet whose decoder steps are upsamplers, one per level that is larger than the one below.

    With an upsampler images may have any size.

    Args:
        upsampler: The method and its arguments; None: mmseg's ``upsample_cfg``.
        kwargs: As in mmseg's UNet.

    Raises:
        NoSite: ``upsampler`` in a UNet that never downsamples.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self._fits_any_size = upsampler is not None
        if upsampler is None:
            return
        # Where the sizes are equal, mmseg has a convolution instead of a step.
        larger = [not isinstance(block.upsample, ConvModule) for block in self.decoder]
        if not any(larger):
            raise NoSite(f'UNet with strides={self.strides}, downsamples={self.downsamples} '
                         'upsamples nothing')
        # mmengine's list, unlike PyTorch's, passes the initialisation on to the upsamplers.
        self.decoder = ModuleList(
            UpConvBlock(block, upsampler) if upsamples else block
            for block, upsamples in zip(self.decoder, larger))

    def _check_input_divisible(self, x: Tensor) -> None:
        if not self._fits_any_size:
            super()._check_input_divisible(x)
