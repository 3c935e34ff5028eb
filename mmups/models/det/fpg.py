"""mmdet's FPG with upsamplers in its transitions.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/fpg.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from typing import Optional

import torch.nn.functional as F
from mmdet.models.necks import FPG as HostFPG
from mmdet.models.necks.fpg import UpInterpolationConv
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import HostResize, NoSite, register_slot, whole_factor
from mmups.models.upsamplers import build_upsampler


@register_slot(HostFPG)
class FPG(HostFPG):
    """Feature pyramid grid whose ``interpolation_conv`` transitions begin with an upsampler.

    ``upsample_modules`` has one per transition, in mmdet's order: by pathway, then by level, the
    finest first. The guide is the map of the preceding pathway at the level that is reached.

    Args:
        upsampler: The method and its arguments; None: the interpolation of each transition.
        kwargs: As in mmdet's FPG.

    Raises:
        NoSite: ``upsampler``, and no ``interpolation_conv`` leads to a finer level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules, self._index = ModuleList(), {}
        for i, (stage, path) in enumerate(zip(self.fpn_transitions, self.paths)):
            # mmdet builds the way down within a pathway for pathways that lead up, too.
            names = ('same_down', 'across_down') if path == 'td' else ('across_down', )
            for level, transitions in enumerate(stage):
                for name, host in transitions.items():
                    if name in names and isinstance(host, UpInterpolationConv):
                        resize = dict(scale_factor=host.scale_factor, mode=host.mode,
                                      align_corners=host.align_corners)
                        self._index[i, level, name] = len(self.upsample_modules)
                        self.upsample_modules.append(
                            HostResize(F.interpolate, resize) if upsampler is None else
                            build_upsampler(upsampler, host.in_channels,
                                            guide_channels=host.out_channels,
                                            scale_factor=whole_factor(host.scale_factor)))
        if upsampler is not None and not self.upsample_modules:
            raise NoSite(f'FPG with same_down_trans={self.same_down_trans} and across_down_trans='
                         f"{self.across_down_trans} has no transition of type 'interpolation_conv' "
                         'to a finer level: there is nothing to upsample')

    def forward(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this FPG was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]
        for downsample in self.extra_downsamples:
            maps.append(downsample(maps[-1]))
        outs = [maps]
        for i in range(self.stack_times):
            outs.append(self._pathway(i, outs[0], outs[-1]))
        return [conv(list(levels)) for conv, levels in zip(self.output_transition, zip(*outs))]

    def _pathway(self, i: int, first: list[Tensor], before: list[Tensor]) -> list[Tensor]:
        """Pathway i, from the maps of the first one and of the one before it."""
        down = self.paths[i] == 'td'
        outs = []
        for j in range(self.num_outs):
            if i in self.skip_inds[j]:
                outs.append(before[j])
                continue
            level = self.num_outs - 1 - j if down else j
            trans, terms = self.fpn_transitions[i][level], []
            if down and trans['same_down'] is not None:
                terms.append(self._step(i, level, 'same_down', outs[-1], before[level]))
            elif not down and trans['same_up'] is not None:
                terms.append(trans['same_up'](outs[-1]))
            terms.append(trans['across_lateral'](before[level]))
            if trans['across_up'] is not None:
                terms.append(trans['across_up'](before[level - 1]))
            if trans['across_down'] is not None:
                terms.append(self._step(i, level, 'across_down', before[level + 1], before[level]))
            if trans['across_skip'] is not None:
                terms.append(trans['across_skip'](first[level]))
            outs.append(sum(terms))
        return outs[::-1] if down else outs

    def _step(self, i: int, level: int, name: str, x: Tensor, guide: Tensor) -> Tensor:
        """A transition to ``level`` from the next coarser one."""
        transition = self.fpn_transitions[i][level][name]
        if (i, level, name) not in self._index:  # a user's own, which resizes by itself
            return transition(x)
        upsample = self.upsample_modules[self._index[i, level, name]]
        return transition.conv(upsample(x, guide, guide.shape[2:]))
