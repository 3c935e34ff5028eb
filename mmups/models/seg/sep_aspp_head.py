"""mmseg's DepthwiseSeparableASPPHead (DeepLabV3+) with an upsampler in its decoder.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/sep_aspp_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.decode_heads import DepthwiseSeparableASPPHead as HostDepthwiseSeparableASPPHead
from torch import Tensor

from mmups.models.layers import Step, beside_guide, register_slot

from .head import UpsamplingHead


@register_slot(HostDepthwiseSeparableASPPHead)
class DepthwiseSeparableASPPHead(UpsamplingHead, HostDepthwiseSeparableASPPHead):
    """DeepLabV3+'s head, whose step to the low-level map is an upsampler.

    The pooled image, one pixel, is spread as in mmseg.

    Args:
        args, kwargs: As in :class:`UpsamplingHead` and mmseg's DepthwiseSeparableASPPHead.
        scale_factor: Ratio of the low-level map (1/4) to the other one: 2 for a backbone of output
            stride 8, 4 for one of 16.
    """

    decided_by = (*UpsamplingHead.decided_by, 'c1_bottleneck')
    guide = 'the low-level map'

    def __init__(self, *args, scale_factor: int = 2, **kwargs):
        self.scale_factor = scale_factor
        super().__init__(*args, **kwargs)

    @classmethod
    def site_args(cls, cfg, sizes):
        if 'scale_factor' in cfg or cfg.get('c1_in_channels') == 0:
            return {}
        found, index = sizes(), cfg.get('in_index', -1)
        if found is None or not -len(found) <= index < len(found):
            raise ValueError('the sizes of its maps could not be found by running the backbone; '
                             'say in the config of the head what is between them: scale_factor=2 '
                             'for a backbone of output stride 8, scale_factor=4 for one of 16')
        return dict(scale_factor=round(found[0][0] / found[index][0]))

    def own_steps(self) -> list[Step]:
        if self.c1_bottleneck is None:
            return []
        return [Step(self.channels, self.c1_bottleneck.out_channels, self.scale_factor,
                     host=self.bilinear)]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Backbone maps, of which the first is the low-level one, to logits of its size."""
        output = self._forward_feature(inputs)
        if self.c1_bottleneck is not None:
            c1 = self.c1_bottleneck(inputs[0])
            output, c1 = beside_guide(output, c1, self.upsample_modules[0])
            output = torch.cat([output, c1], dim=1)
        return self.cls_seg(self.sep_bottleneck(output))
