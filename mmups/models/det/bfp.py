"""mmdet's BFP (Libra R-CNN) with upsamplers instead of its resizing.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/bfp.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from typing import Optional

import torch.nn.functional as F
from mmdet.models.necks import BFP as HostBFP
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import NoSite, add_to_guide, build_ladder, climb, register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostBFP)
class BFP(HostBFP):
    """Balanced feature pyramid that gathers and scatters its levels in steps of x2.

    First in ``upsample_modules`` come those that lift the coarser levels to ``refine_level``, in
    the order of :func:`climb`, then those that carry the refined map on to the finer levels, the
    finest last. The guide is the input map of the level that a step reaches.

    Args:
        upsampler: The method and its arguments; None: one nearest interpolation per level, as in
            mmdet.
        kwargs: As in mmdet's BFP.

    Raises:
        NoSite: ``upsampler`` with one level.
        ValueError: Not as many maps as ``num_levels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None and self.num_levels == 1:
            raise NoSite('num_levels=1 is one level: there is nothing to upsample')
        upsampler = upsampler or dict(mode='nearest')
        coarser = build_ladder(upsampler,
                               [self.in_channels] * (self.num_levels - self.refine_level))
        finer = (build_upsampler(upsampler, self.in_channels, guide_channels=self.in_channels)
                 for _ in range(self.refine_level))
        self.upsample_modules = ModuleList([*coarser, *finer])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps (N, in_channels, h_i, w_i), finest first, to maps of the same sizes."""
        if len(inputs) != self.num_levels:
            raise ValueError(f'this BFP was built for {self.num_levels} maps, got {len(inputs)}')
        modules, level = list(self.upsample_modules), self.refine_level
        split = len(modules) - level
        x = self._gather(inputs, modules[:split])
        if self.refine_type is not None:
            x = self.refine(x)
        outs = [F.adaptive_max_pool2d(x, y.shape[2:]) + y for y in inputs[level:]]
        residual = x
        for finer, upsample in zip(inputs[:level][::-1], modules[split:]):
            source = x if upsample.any_size else residual
            residual = upsample(source, finer, finer.shape[2:])
            outs.insert(0, add_to_guide(finer, residual, upsample))
        return tuple(outs)

    def _gather(self, inputs: tuple[Tensor, ...], ladder: list) -> Tensor:
        size = inputs[self.refine_level].shape[2:]
        maps = [F.adaptive_max_pool2d(x, size) for x in inputs[:self.refine_level]]
        lifted = climb(inputs[self.refine_level:], ladder)
        if ladder and ladder[-1].includes_guide:
            del lifted[0]
        return sum([*maps, *lifted]) / self.num_levels
