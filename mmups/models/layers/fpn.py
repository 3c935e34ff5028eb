"""The FPN of both hosts, which is the same but for its resizing.

``UpsamplingFPN.forward`` follows mmdet 3.3.0, ``mmdet/models/necks/fpn.py``, and mmseg 1.2.2,
``mmseg/models/necks/fpn.py`` (Apache-2.0, OpenMMLab); held to both by parity tests.
"""
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from .host_resize import HostResize
from .slot import Step, UpsamplingSlot
from .top_down import extra_levels, top_down


class UpsamplingFPN(UpsamplingSlot):
    """Base of the slots in both hosts' FPN and its variants.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i.
    """

    decided_by = ('start_level', 'end_level')
    guide = 'the lateral map'
    resize = staticmethod(F.interpolate)  # the function of the host that takes its upsample_cfg

    def host_steps(self) -> list[Step]:
        resize = partial(HostResize, self.resize, self.upsample_cfg)
        return [Step(self.out_channels, self.out_channels, host=resize)
                for _ in self.lateral_convs[1:]]

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        laterals = self.merge(self.laterals(inputs))
        outs = self.finish(laterals)
        return (*outs, *extra_levels(self, inputs, laterals, outs))

    def laterals(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]

    def merge(self, laterals: list[Tensor]) -> list[Tensor]:
        return top_down(laterals, self.upsample_modules)

    def finish(self, laterals: list[Tensor]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
