"""mmseg's ERFNet with upsamplers.

``forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/erfnet.py`` (Apache-2.0, OpenMMLab); held
to it by a parity test.
"""
from mmseg.models.backbones import ERFNet as HostERFNet
from mmseg.models.backbones.erfnet import DownsamplerBlock, UpsamplerBlock
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, register_slot


@register_slot(HostERFNet)
class ERFNet(UpsamplingSlot, HostERFNet):
    """ERFNet whose decoder has upsamplers instead of transposed convolutions.

    With an upsampler, a decoder's map has the size of the encoder's, which for odd sizes is one
    less than the double.
    """

    guide = "the encoder's map"

    def host_steps(self) -> list[Step]:
        convs = [block.conv for block in self.decoder if isinstance(block, UpsamplerBlock)]
        return [Step(conv.in_channels, channels, out_channels=conv.out_channels)
                for conv, channels in zip(convs, self.enc_downsample_channels[-2::-1])]

    def adapt(self) -> None:
        for block in self.decoder:
            if isinstance(block, UpsamplerBlock):
                block.conv = nn.Identity()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image to the map at half its size."""
        if not self.swapped:
            return super().forward(x)
        guides, upsample_modules = [], iter(self.upsample_modules)
        for block in self.encoder:
            if isinstance(block, DownsamplerBlock):
                guides.append(x)
            x = block(x)
        for block in self.decoder:
            if isinstance(block, UpsamplerBlock):
                x = next(upsample_modules)(x, guides.pop())
            x = block(x)
        return [x]
