"""The FPN of both hosts, which is the same but for its resizing.

``FPNPass`` follows mmdet 3.3.0, ``mmdet/models/necks/fpn.py`` and, for laterals of extra levels,
``fpn_carafe.py``, and mmseg 1.2.2, ``mmseg/models/necks/fpn.py`` (Apache-2.0, OpenMMLab); held to
them by parity tests.
"""
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from .host_resize import HostResize
from .slot import Step, UpsamplingSlot
from .top_down import extra_levels, top_down


class UpsamplingFPN(UpsamplingSlot):
    """Base of the slots in both hosts' FPN and its variants.

    ``upsample_modules[i]`` takes level i+1 to level i.
    """

    decided_by = ('start_level', 'end_level')
    guide = 'the lateral map'
    resize = staticmethod(F.interpolate)  # the function of the host that takes its upsample_cfg

    def host_steps(self) -> list[Step]:
        resize = partial(HostResize, self.resize, self.upsample_cfg)
        return [Step(self.out_channels, self.out_channels, host=resize)
                for _ in self.lateral_convs[1:]]


class FPNPass:
    """The pass of these slots, before the class of the host, in steps that variants override."""

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        laterals = self.merge(laterals_of(self, inputs))
        outs = self.finish(laterals)
        return (*outs, *extra_levels(self, inputs, laterals, outs))

    def merge(self, laterals: list[Tensor]) -> list[Tensor]:
        return top_down(laterals, self.upsample_modules)

    def finish(self, laterals: list[Tensor]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.fpn_convs, laterals)]


def laterals_of(neck: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """One lateral map per convolution; those of extra levels are made one from the other."""
    laterals = [conv(x) for conv, x in zip(neck.lateral_convs, inputs[neck.start_level:])]
    x = inputs[neck.backbone_end_level - 1]
    for conv in neck.lateral_convs[len(laterals):]:
        x = conv(x)
        laterals.append(x)
    return laterals
