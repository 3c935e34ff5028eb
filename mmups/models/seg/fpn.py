"""mmseg's FPN with an upsampler in its top-down path.

``forward`` follows mmseg 1.2.2, ``mmseg/models/necks/fpn.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from typing import Optional

from mmengine.model import ModuleList
from mmseg.models.necks import FPN as HostFPN
from mmseg.models.utils import resize
from torch import Tensor

from mmups.models.layers import HostResize, NoSite, extra_levels, register_slot, top_down
from mmups.models.upsamplers import build_upsampler


@register_slot(HostFPN)
class SegFPN(HostFPN):
    """Feature pyramid network whose top-down steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i.

    Args:
        upsampler: The method and its arguments; None: mmseg's ``upsample_cfg``.
        kwargs: As in mmseg's FPN, whose ``end_level`` is exclusive, unlike mmdet's.

    Raises:
        NoSite: ``upsampler`` in a pyramid of one level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        steps = len(self.lateral_convs) - 1
        if upsampler is not None and not steps:
            raise NoSite(f'FPN with start_level={self.start_level}, end_level={self.end_level} has '
                         'one level: there is nothing to upsample')
        self.upsample_modules = ModuleList(
            HostResize(resize, self.upsample_cfg) if upsampler is None else
            build_upsampler(upsampler, self.out_channels, guide_channels=self.out_channels)
            for _ in range(steps))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this FPN was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]
        laterals = top_down(laterals, self.upsample_modules)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
        return (*outs, *extra_levels(self, inputs, laterals, outs))
