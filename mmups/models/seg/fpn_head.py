"""mmseg's FPNHead (Semantic FPN) with upsamplers between its convolutions.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/fpn_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

from mmseg.models.decode_heads import FPNHead as HostFPNHead
from mmseg.models.utils import Upsample, resize
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler

from .head import UpsamplingHead


@register_slot(HostFPNHead, optional=('logits_upsampler', ))
class FPNHead(UpsamplingHead, HostFPNHead):
    """Semantic FPN's head, whose x2 steps are upsamplers: 1 + 2 + 3 of them for four levels.

    ``upsample_modules[0]`` lifts the 1/8 map, 1 and 2 the 1/16 map, 3 to 5 the 1/32 map, each
    after a convolution. The guide of a step is the input map of the level that it reaches. Where
    ``feature_strides`` skip a level, the steps past it have none.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's FPNHead.
    """

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        bilinear = dict(mode='bilinear', align_corners=self.align_corners)
        strides, modules = list(self.feature_strides), []
        self._reached = []  # per level and step, the level that it reaches; None: no guide
        for stride, convs in zip(strides, self.scale_heads):
            reached = []
            for key, layer in list(convs.named_children()):
                if isinstance(layer, Upsample):
                    delattr(convs, key)  # the convolutions keep their keys
                    stride //= 2
                    reached.append(strides.index(stride) if stride in strides else None)
            if None in reached:
                reached = [None] * len(reached)
            self._reached.append(reached)
            modules += [
                build_upsampler(upsampler or bilinear, self.channels,
                                guide_channels=None if level is None else self.in_channels[level])
                for level in reached]
        return modules or super().build_upsamplers(upsampler)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps of a pyramid, finest first, to logits of the finest one's size."""
        maps = self._transform_inputs(inputs)
        modules = iter(self.upsample_modules)
        output = self.scale_heads[0](maps[0])
        for x, convs, reached in list(zip(maps, self.scale_heads, self._reached))[1:]:
            if not reached:  # as fine as the first one
                x = convs(x)
            for conv, level in zip(convs, reached):
                x, upsample = conv(x), next(modules)
                if upsample.any_size or level is None:  # mmseg doubles, and fits the sum
                    x = upsample(x)
                else:
                    x = upsample(x, maps[level], maps[level].shape[2:])
            output = output + resize(x, size=output.shape[2:], mode='bilinear',
                                     align_corners=self.align_corners)
        return self.cls_seg(output)
