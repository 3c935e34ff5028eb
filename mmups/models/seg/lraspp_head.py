"""mmseg's LRASPPHead (MobileNetV3) with upsamplers between its branches.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/lraspp_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.decode_heads import LRASPPHead as HostLRASPPHead
from mmseg.models.utils import resize
from torch import Tensor

from mmups.models.layers import Step, beside_guide, register_slot

from .head import UpsamplingHead


@register_slot(HostLRASPPHead)
class LRASPPHead(UpsamplingHead, HostLRASPPHead):
    """Lite R-ASPP head, whose steps from 1/8 to 1/4 and to 1/2 are upsamplers.

    ``upsample_modules[i]`` takes the features to the size of branch i. The gate, pooled to a few
    pixels, is spread as in mmseg.
    """

    guide = 'the branch of that size'

    def own_steps(self) -> list[Step]:
        return [Step(self.channels, c, host=self.bilinear) for c in self.branch_channels]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, finest first, to logits of the finest one's size."""
        inputs = self._transform_inputs(inputs)
        x = inputs[-1]
        gate = resize(self.image_pool(x), size=x.shape[2:], mode='bilinear',
                      align_corners=self.align_corners)
        x = self.conv_up_input(self.aspp_conv(x) * gate)
        for i in range(len(self.branch_channels) - 1, -1, -1):
            branch = self.convs[i](inputs[i])
            x, branch = beside_guide(x, branch, self.upsample_modules[i])
            x = self.conv_ups[i](torch.cat([x, branch], dim=1))
        return self.cls_seg(x)
