"""mmdet's FPG with upsamplers in its transitions.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/fpg.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from functools import partial

import torch.nn.functional as F
from mmdet.models.necks import FPG as HostFPG
from mmdet.models.necks.fpg import UpInterpolationConv
from torch import Tensor

from mmups.models.layers import HostResize, Step, UpsamplingSlot, register_slot


@register_slot(HostFPG)
class FPG(UpsamplingSlot, HostFPG):
    """Feature pyramid grid whose ``interpolation_conv`` transitions begin with an upsampler.

    ``upsample_modules`` has one per transition to a finer level, in mmdet's order: by pathway, then
    by level, the finest first.
    """

    decided_by = ('same_down_trans', 'across_down_trans')
    guide = 'the map of the preceding pathway at that level'

    def host_steps(self) -> list[Step]:
        # mmdet builds the way down within a pathway (td) for pathways that lead up (bu), too.
        hosts = {(i, level, name): host
                 for i, (stage, path) in enumerate(zip(self.fpn_transitions, self.paths))
                 for level, transitions in enumerate(stage) for name, host in transitions.items()
                 if isinstance(host, UpInterpolationConv) and (
                     name == 'across_down' or (name, path) == ('same_down', 'td'))}
        self._index = {site: index for index, site in enumerate(hosts)}
        return [Step(host.in_channels, host.out_channels, host.scale_factor, host=partial(
            HostResize, F.interpolate, dict(scale_factor=host.scale_factor, mode=host.mode,
                                            align_corners=host.align_corners)))
                for host in hosts.values()]

    def forward(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]
        for downsample in self.extra_downsamples:
            maps.append(downsample(maps[-1]))
        outs = [maps]
        for i in range(self.stack_times):
            outs.append(self._pathway(i, outs[0], outs[-1]))
        return [conv(list(levels)) for conv, levels in zip(self.output_transition, zip(*outs))]

    def _pathway(self, i: int, first: list[Tensor], before: list[Tensor]) -> list[Tensor]:
        """Pathway i, from the maps of the first one and of the one before it."""
        down, outs = self.paths[i] == 'td', []
        for j in range(self.num_outs):
            if i in self.skip_inds[j]:
                outs.append(before[j])
                continue
            level = self.num_outs - 1 - j if down else j
            ways = [('same_down' if down else 'same_up', outs, -1),
                    ('across_lateral', before, level), ('across_up', before, level - 1),
                    ('across_down', before, level + 1), ('across_skip', first, level)]
            outs.append(sum(self._transition(i, level, name, maps[source], before[level])
                            for name, maps, source in ways
                            if self.fpn_transitions[i][level][name] is not None))
        return outs[::-1] if down else outs

    def _transition(self, i: int, level: int, name: str, x: Tensor, guide: Tensor) -> Tensor:
        transition = self.fpn_transitions[i][level][name]
        if (i, level, name) not in self._index:  # to no finer level, or a user's own
            return transition(x)
        upsample = self.upsample_modules[self._index[i, level, name]]
        return transition.conv(upsample(x, guide, guide.shape[2:]))
