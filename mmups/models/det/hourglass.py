"""mmdet's HourglassNet with upsamplers on its way up.

``HourglassModule.forward`` follows mmdet 3.3.0, ``mmdet/models/backbones/hourglass.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterator

from mmdet.models.backbones import HourglassNet as HostHourglassNet
from torch import Tensor, nn

from mmups.models.layers import Parts, Step, UpsamplingPart, UpsamplingSlot, register_slot, top_down


class HourglassModule(UpsamplingPart):
    """mmdet's HourglassModule with an upsampler at its own depth."""

    def host_steps(self) -> list[Step]:
        channels = self.up1[-1].conv2.out_channels
        return [Step(channels, channels)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        maps = [self.up1(x), self.low3(self.low2(self.low1(x)))]
        return top_down(maps, self.upsample_modules)[0]


@register_slot(HostHourglassNet)
class HourglassNet(UpsamplingSlot, HostHourglassNet):
    """Stacked hourglasses, whose steps up are upsamplers: ``downsample_times`` in each."""

    guide = 'the branch that kept the size'
    host_draws_all = True

    def parts(self) -> Parts:
        for name, _ in self.hourglass_modules.named_children():
            yield from _depths(self.hourglass_modules, name)


def _depths(owner: nn.Module, name: str) -> Iterator[tuple[nn.Module, str, HourglassModule]]:
    """A hourglass and those inside it, the innermost first."""
    part = HourglassModule(getattr(owner, name))
    if part.depth > 1:
        yield from _depths(part, 'low2')
    yield owner, name, part
