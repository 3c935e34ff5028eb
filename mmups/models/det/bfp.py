"""mmdet's BFP (Libra R-CNN) with upsamplers instead of its resizing.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/bfp.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
import torch.nn.functional as F
from mmdet.models.necks import BFP as HostBFP
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, hand_down, register_slot, summands


@register_slot(HostBFP)
class BFP(UpsamplingSlot, HostBFP):
    """Balanced feature pyramid that gathers and scatters its levels in steps of x2.

    First in ``upsample_modules`` come those that lift the coarser levels to ``refine_level``, in
    the order of :func:`climb`, then those that carry the refined map on to the finer levels, the
    finest last.
    """

    decided_by = ('num_levels', )
    guide = 'the input map of the level that is reached'

    def host_steps(self) -> list[Step]:
        step = Step(self.in_channels, self.in_channels, host=dict(mode='nearest'))
        rungs = range(self.num_levels - self.refine_level)  # of each level from refine_level on
        return [step] * (sum(rungs) + self.refine_level)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps (N, in_channels, h_i, w_i), finest first, to maps of the same sizes."""
        self.check_maps(inputs, self.num_levels)
        finer, coarser = inputs[:self.refine_level], inputs[self.refine_level:]
        modules = list(self.upsample_modules)
        split = len(modules) - len(finer)
        maps = [F.adaptive_max_pool2d(x, coarser[0].shape[2:]) for x in finer]
        x = sum([*maps, *summands(coarser, modules[:split])]) / self.num_levels
        if self.refine_type is not None:
            x = self.refine(x)
        outs = hand_down(x, finer[::-1], modules[split:])[::-1]
        return (*outs, *(F.adaptive_max_pool2d(x, y.shape[2:]) + y for y in coarser))
