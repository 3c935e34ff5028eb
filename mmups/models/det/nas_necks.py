"""mmdet's necks that were found by architecture search, with upsamplers instead of their resizing.

``forward`` of each follows mmdet 3.3.0, ``mmdet/models/necks/nas_fpn.py`` and ``nasfcos_fpn.py``,
and of mmcv 2.1.0 ``mmcv/ops/merge_cells.py`` (Apache-2.0, OpenMMLab); held to them by parity tests.
The cells pool what is too large; what is too small is upsampled before it enters them.
"""
from collections.abc import Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from mmdet.models import necks as hosts
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, add_to_guide, lift, register_slot


@register_slot(hosts.NASFPN)
class NASFPN(UpsamplingSlot, hosts.NASFPN):
    """NAS-FPN, four upsamplers per stage: P6 to P5, on to P4, P4 to P3 and P7 to P6."""

    decided_by = ('stack_times', )
    guide = 'the map of the level that is reached'

    def host_steps(self) -> list[Step]:
        c = self.out_channels
        return [Step(c, c, host=dict(mode='nearest'))] * 4 * self.stack_times

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to P3 to P7."""
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs[self.start_level:])]
        for downsample in self.extra_downsamples:
            maps.append(downsample(maps[-1]))
        p3, p4, p5, p6, p7 = maps
        modules = iter(self.upsample_modules)
        for stage in self.fpn_stages:
            *to_p4, to_p3, to_p6 = islice(modules, 4)
            x = stage['gp_64_4'](lift(p6, [p5, p4], to_p4), p4)
            merged = stage['sum_44_4'](x, p4)
            x = to_p3(merged, p3, p3.shape[2:])
            p3 = stage['sum_43_3'].out_conv(add_to_guide(p3, x, to_p3))
            p4 = stage['sum_34_4'](p3, merged, out_size=p4.shape[2:])
            x = stage['gp_43_5'](p4, p3, out_size=p5.shape[2:])
            p5 = stage['sum_55_5'](p5, x)
            x = stage['gp_54_7'](p5, merged, out_size=p7.shape[2:])
            p7 = stage['sum_77_7'](p7, x)
            x = to_p6(p7, p6, p6.shape[2:])
            p6 = stage['gp_75_6'](x, p5, out_size=p6.shape[2:])
        return p3, p4, p5, p6, p7


@register_slot(hosts.NASFCOS_FPN)
class NASFCOS_FPN(UpsamplingSlot, hosts.NASFCOS_FPN):
    """NAS-FCOS's neck, with nine upsamplers.

    In the order of their use: 0, 1 and 2, 3 lift maps of C5's size to C3's in the cells ``c02``
    and ``c36``, 4 a map of C4's size in ``c61``; 5, 6 and 7, 8 lift the map that is added to P3
    and to the one that P4 is made of.
    """

    guide = 'the lateral map of C4, then the map that it meets'

    def host_steps(self) -> list[Step]:
        c = self.out_channels
        return [Step(c, c, host=dict(mode=mode)) for mode in ['nearest'] * 5 + ['bilinear'] * 4]

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to P3 and coarser ones."""
        c3, c4, c5 = (conv(x) for conv, x in zip(self.adapt_convs, inputs[self.start_level:]))
        cells, modules = self.fpn, self.upsample_modules
        f3 = cells['c22_1'](c5, c5)
        f4 = cells['c22_2'](c5, c5)
        f5 = cells['c32'](f3, c5)
        f6 = concat(cells['c02'], c3, c5, 1, [c4], modules[:2])
        f7 = cells['c42'](f4, c5)
        f8 = concat(cells['c36'], f3, f6, 0, [c4], modules[2:4])
        f9 = concat(cells['c61'], f6, c4, 1, [], modules[4:5])
        sums = [add_to_guide(f9, lift(f5, [c4, f9], modules[5:7]), modules[6]),
                add_to_guide(f8, lift(f5, [c4, f8], modules[7:]), modules[8]), f7 + f5]
        outs = [F.interpolate(x, size=y.shape[2:], mode='bilinear', align_corners=False)
                for x, y in zip(sums, inputs[1:4])]
        for downsample in self.extra_downsamples:
            outs.append(downsample(outs[-1]))
        return tuple(outs)


def concat(cell: nn.Module, x1: Tensor, x2: Tensor, coarse: int, guides: Sequence[Tensor],
           upsample_modules: Sequence[nn.Module]) -> Tensor:
    """mmcv's ConcatCell, whose input ``coarse`` (0 or 1) is lifted to the other's size behind its
    convolution, past the ``guides`` in between."""
    maps = [cell.input1_conv(x1), cell.input2_conv(x2)]
    maps[coarse] = lift(maps[coarse], [*guides, maps[1 - coarse]], upsample_modules)
    return cell.out_conv(torch.cat(maps, dim=1))
