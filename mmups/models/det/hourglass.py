"""mmdet's HourglassNet with upsamplers on its way up.

``HourglassModule.forward`` follows mmdet 3.3.0, ``mmdet/models/backbones/hourglass.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from collections.abc import Sequence
from typing import Optional

from mmdet.models.backbones import HourglassNet as HostHourglassNet
from mmdet.models.backbones.hourglass import HourglassModule as HostHourglassModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mmups.models.layers import UpsamplersLast, register_slot, top_down
from mmups.models.upsamplers import build_upsampler


class HourglassModule(BaseModule):
    """The layers of mmdet's HourglassModule, and an upsampler at each of its depths.

    Args:
        host: mmdet's module; its layers and their keys are taken over.
        channels: Channels of this depth and those below it.
        upsampler: The method and its arguments. The guide is the branch that keeps the size.
    """

    def __init__(self, host: HostHourglassModule, channels: Sequence[int], upsampler: dict):
        super().__init__(host.init_cfg)
        self.up1 = host.up1
        self.low1 = host.low1
        self.low2 = host.low2
        if host.depth > 1:
            self.low2 = HourglassModule(host.low2, channels[1:], upsampler)
        self.low3 = host.low3
        self.upsample_modules = ModuleList(
            [build_upsampler(upsampler, channels[0], guide_channels=channels[0])])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        maps = [self.up1(x), self.low3(self.low2(self.low1(x)))]
        return top_down(maps, self.upsample_modules)[0]


@register_slot(HostHourglassNet)
class HourglassNet(UpsamplersLast, HostHourglassNet):
    """Stacked hourglasses, whose steps up are upsamplers: ``downsample_times`` in each.

    Args:
        downsample_times, num_stacks, stage_channels: As in mmdet's HourglassNet, and so are all
            other keys.
        upsampler: The method and its arguments; None: nearest, as in mmdet.
    """

    def __init__(self, downsample_times: int = 5, num_stacks: int = 2,
                 stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512), *args,
                 upsampler: Optional[dict] = None, **kwargs):
        super().__init__(downsample_times, num_stacks, stage_channels, *args, **kwargs)
        if upsampler is None:
            return
        for i, module in enumerate(self.hourglass_modules):
            self.hourglass_modules[i] = HourglassModule(module, stage_channels, upsampler)
