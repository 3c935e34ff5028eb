"""mmseg's FPNHead (Semantic FPN) with upsamplers between its convolutions.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/fpn_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from mmseg.models.decode_heads import FPNHead as HostFPNHead
from mmseg.models.utils import resize
from torch import Tensor

from mmups.models.layers import Step, double, register_slot

from .head import UpsamplingHead


@register_slot(HostFPNHead)
class FPNHead(UpsamplingHead, HostFPNHead):
    """Semantic FPN's head, whose x2 steps are upsamplers: 1 + 2 + 3 of them for four levels.

    ``upsample_modules[0]`` lifts the 1/8 map, 1 and 2 the 1/16 map, 3 to 5 the 1/32 map, each
    after a convolution. Where ``feature_strides`` skip a level, the steps past it have no guide.
    With ``direct=True`` all convolutions of a map come first, at its size, and then one upsampler,
    guided by the finest input map: of x2 for the 1/8 map, x4, x8.
    """

    decided_by = ('feature_strides', )
    guide = 'the input map of the level that is reached'

    def own_steps(self) -> list[Step]:
        strides = list(self.feature_strides)
        self._climbing.add('upsampler')
        self._reached = []  # per level and step, the level that it reaches; None: no guide
        steps = []
        for stride, layers in zip(strides, self.scale_heads):
            finer = [stride // 2**k for k in range(1, len(layers) // 2 + 1)]
            factor = 2**len(finer) if self.direct else 2
            reached = finer[-1:] if self.direct else finer
            guided = set(reached) <= set(strides)
            levels = [strides.index(s) if guided else None for s in reached]
            self._reached.append(levels)
            steps += [Step(self.channels, None if level is None else self.in_channels[level],
                           factor, host=self.bilinear) for level in levels]
        return steps

    def adapt(self) -> None:
        for layers in self.scale_heads:
            for i in range(1, len(layers), 2):
                delattr(layers, str(i))  # the convolutions keep their keys

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps of a pyramid, finest first, to logits of the finest one's size."""
        maps = self._transform_inputs(inputs)
        modules = iter(self.upsample_modules)
        output = self.scale_heads[0](maps[0])
        for x, convs, reached in list(zip(maps, self.scale_heads, self._reached))[1:]:
            first = len(convs) - len(reached)  # those without a step behind them
            for i, conv in enumerate(convs):
                x = conv(x)
                if i >= first:
                    level, upsample = reached[i - first], next(modules)
                    x = upsample(x) if level is None else double(x, maps[level], upsample)
            output = output + resize(x, size=output.shape[2:], mode='bilinear',
                                     align_corners=self.align_corners)
        return self.cls_seg(output)
