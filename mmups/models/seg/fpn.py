"""mmseg's FPN with an upsampler in its top-down path.

``forward`` follows mmseg 1.2.2, ``mmseg/models/necks/fpn.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from functools import partial

from mmseg.models.necks import FPN as HostFPN
from mmseg.models.utils import resize
from torch import Tensor

from mmups.models.layers import (
    HostResize,
    Step,
    UpsamplingSlot,
    extra_levels,
    register_slot,
    top_down,
)


@register_slot(HostFPN)
class SegFPN(UpsamplingSlot, HostFPN):
    """Feature pyramid network whose top-down steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1 to level i. ``end_level`` is exclusive, unlike mmdet's.
    """

    decided_by = ('start_level', 'end_level')
    guide = 'the lateral map'

    def host_steps(self) -> list[Step]:
        host = partial(HostResize, resize, self.upsample_cfg)
        return [Step(self.out_channels, self.out_channels, host=host)
                for _ in self.lateral_convs[1:]]

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]
        laterals = top_down(laterals, self.upsample_modules)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
        return (*outs, *extra_levels(self, inputs, laterals, outs))
