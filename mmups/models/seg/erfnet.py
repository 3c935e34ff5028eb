"""mmseg's ERFNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/erfnet.py`` (Apache-2.0, OpenMMLab); held
to it by a parity test.
"""
from typing import Optional

from mmengine.model import ModuleList
from mmseg.models.backbones import ERFNet as HostERFNet
from mmseg.models.backbones.erfnet import DownsamplerBlock, UpsamplerBlock
from torch import Tensor, nn

from mmups.models.layers import UpConv, register_slot


@register_slot(HostERFNet)
class ERFNet(HostERFNet):
    """ERFNet whose decoder upsamples, guided by the encoder's map of the same size.

    The host's transposed convolutions also change the number of channels, for which each
    upsampler brings a 1x1 convolution. With an upsampler, a decoder's map has the size of the
    encoder's, which for odd sizes is one less than the double.

    Args:
        upsampler: The method and its arguments; None: mmseg's transposed convolutions.
        kwargs: As in mmseg's ERFNet.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = ModuleList()
        if upsampler is None:
            return
        blocks = [block for block in self.decoder if isinstance(block, UpsamplerBlock)]
        for block, guide_channels in zip(blocks, self.enc_downsample_channels[-2::-1]):
            self.upsample_modules.append(
                UpConv(upsampler, block.conv.in_channels, block.conv.out_channels, guide_channels))
            block.conv = nn.Identity()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image to the map at half its size."""
        if not self.upsample_modules:
            return super().forward(x)
        guides = []
        for block in self.encoder:
            if isinstance(block, DownsamplerBlock):
                guides.append(x)
            x = block(x)
        upsample_modules = iter(self.upsample_modules)
        for block in self.decoder:
            if isinstance(block, UpsamplerBlock):
                guide = guides.pop()
                x = next(upsample_modules)(x, guide, guide.shape[2:])
            x = block(x)
        return [x]
