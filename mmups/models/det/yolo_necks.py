"""The necks of mmdet's one-stage YOLO family and of RTMDet with upsamplers.

``forward`` of each follows mmdet 3.3.0, ``mmdet/models/necks/yolox_pafpn.py``, which
``cspnext_pafpn.py`` repeats, and ``yolo_neck.py`` (Apache-2.0, OpenMMLab); held to them by parity
tests.
"""
from functools import partial

import torch
import torch.nn.functional as F
from mmdet.models import necks as hosts
from torch import Tensor

from mmups.models.layers import HostResize, Step, UpsamplingSlot, beside_guide, register_slot


class UpsamplingPAFPN(UpsamplingSlot):
    """Base of the slots in YOLOXPAFPN and CSPNeXtPAFPN, which differ in their blocks only.

    ``upsample_modules[i]`` takes level i+1, reduced to the channels of level i, to level i.
    """

    decided_by = ('in_channels', )
    guide = "the backbone's map"

    def host_steps(self) -> list[Step]:
        host = vars(self.upsample)  # an nn.Upsample, made of the host's upsample_cfg
        resize = {key: host[key] for key in ('size', 'scale_factor', 'mode', 'align_corners',
                                             'recompute_scale_factor') if host[key] is not None}
        return [Step(c, c, host=partial(HostResize, F.interpolate, resize))
                for c in self.in_channels[:-1]]

    def adapt(self) -> None:
        del self.upsample

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to as many maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        merged = [inputs[-1]]
        for finer, reduce, block, upsample in zip(inputs[-2::-1], self.reduce_layers,
                                                  self.top_down_blocks,
                                                  reversed(self.upsample_modules)):
            merged[0] = reduce(merged[0])
            out, finer = beside_guide(merged[0], finer, upsample)
            merged.insert(0, block(torch.cat([out, finer], dim=1)))
        outs = merged[:1]
        for x, downsample, block in zip(merged[1:], self.downsamples, self.bottom_up_blocks):
            outs.append(block(torch.cat([downsample(outs[-1]), x], dim=1)))
        return tuple(conv(x) for conv, x in zip(self.out_convs, outs))


YOLOXPAFPN = UpsamplingPAFPN.of(
    hosts.YOLOXPAFPN, __name__, "YOLOX's neck whose top-down steps are upsamplers.")
CSPNeXtPAFPN = UpsamplingPAFPN.of(
    hosts.CSPNeXtPAFPN, __name__, "RTMDet's neck whose top-down steps are upsamplers.")


@register_slot(hosts.YOLOV3Neck)
class YOLOV3Neck(UpsamplingSlot, hosts.YOLOV3Neck):
    """YOLOv3's neck whose steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1 to level i, counted from the finest map, unlike mmdet's
    lists of channels, where the coarsest level is first.
    """

    decided_by = ('num_scales', )
    guide = "the backbone's map"

    def host_steps(self) -> list[Step]:
        return [Step(out, guide, host=dict(mode='nearest'))
                for out, guide in zip(self.out_channels[:0:-1], self.in_channels[:0:-1])]

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to as many maps, coarsest first."""
        self.check_maps(feats, self.num_scales)
        outs = [self.detect1(feats[-1])]
        for i, (finer, upsample) in enumerate(zip(feats[-2::-1], reversed(self.upsample_modules)),
                                              start=1):
            x = getattr(self, f'conv{i}')(outs[-1])
            x, finer = beside_guide(x, finer, upsample)
            outs.append(getattr(self, f'detect{i + 1}')(torch.cat([x, finer], dim=1)))
        return tuple(outs)
