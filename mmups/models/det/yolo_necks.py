"""The necks of mmdet's one-stage YOLO family and of RTMDet with upsamplers.

``forward`` of each follows mmdet 3.3.0, ``mmdet/models/necks/yolox_pafpn.py``, which
``cspnext_pafpn.py`` repeats, and ``yolo_neck.py`` (Apache-2.0, OpenMMLab); held to them by parity
tests.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet.models.necks import YOLOXPAFPN as HostYOLOXPAFPN
from mmdet.models.necks import CSPNeXtPAFPN as HostCSPNeXtPAFPN
from mmdet.models.necks import YOLOV3Neck as HostYOLOV3Neck
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import HostResize, NoSite, register_slot
from mmups.models.upsamplers import build_upsampler


class _PAFPN:
    """Mixin before YOLOXPAFPN and CSPNeXtPAFPN, which differ in their blocks only."""

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None and len(self.in_channels) == 1:
            raise NoSite(f'in_channels={self.in_channels} is one level: there is nothing to '
                         'upsample')
        host = vars(self.upsample)  # an nn.Upsample, made of the host's upsample_cfg
        resize = {key: host[key] for key in ('size', 'scale_factor', 'mode', 'align_corners',
                                             'recompute_scale_factor') if host[key] is not None}
        del self.upsample
        self.upsample_modules = ModuleList(
            HostResize(F.interpolate, resize) if upsampler is None else
            build_upsampler(upsampler, channels, guide_channels=channels)
            for channels in self.in_channels[:-1])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to as many maps of ``out_channels``."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this {type(self).__name__} was built for {len(self.in_channels)} '
                             f'maps, got {len(inputs)}')
        merged = [inputs[-1]]
        for finer, reduce, block, upsample in zip(inputs[-2::-1], self.reduce_layers,
                                                  self.top_down_blocks,
                                                  reversed(self.upsample_modules)):
            merged[0] = reduce(merged[0])
            out = upsample(merged[0], finer, finer.shape[2:])
            merged.insert(0, block(torch.cat([out, finer], dim=1)))
        outs = merged[:1]
        for x, downsample, block in zip(merged[1:], self.downsamples, self.bottom_up_blocks):
            outs.append(block(torch.cat([downsample(outs[-1]), x], dim=1)))
        return tuple(conv(x) for conv, x in zip(self.out_convs, outs))


@register_slot(HostYOLOXPAFPN)
class YOLOXPAFPN(_PAFPN, HostYOLOXPAFPN):
    """YOLOX's neck whose top-down steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1, reduced to the channels of level i, to level i, guided
    by the map of the backbone.

    Args:
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``.
        kwargs: As in mmdet's YOLOXPAFPN.

    Raises:
        NoSite: ``upsampler`` in a neck of one level.
        ValueError: Not as many maps as ``in_channels``.
    """


@register_slot(HostCSPNeXtPAFPN)
class CSPNeXtPAFPN(_PAFPN, HostCSPNeXtPAFPN):
    """RTMDet's neck whose top-down steps are upsamplers, in the order of YOLOXPAFPN's.

    Args:
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``.
        kwargs: As in mmdet's CSPNeXtPAFPN.

    Raises:
        NoSite: ``upsampler`` in a neck of one level.
        ValueError: Not as many maps as ``in_channels``.
    """


@register_slot(HostYOLOV3Neck)
class YOLOV3Neck(HostYOLOV3Neck):
    """YOLOv3's neck whose steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1 to level i, counted from the finest map, guided by the
    map of the backbone.

    Args:
        upsampler: The method and its arguments; None: nearest, as in mmdet.
        kwargs: As in mmdet's YOLOV3Neck, whose channels are those of the coarsest level first.

    Raises:
        NoSite: ``upsampler`` in a neck of one level.
        ValueError: Not as many maps as ``num_scales``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None and self.num_scales == 1:
            raise NoSite('num_scales=1 is one level: there is nothing to upsample')
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or dict(mode='nearest'), self.out_channels[i],
                            guide_channels=self.in_channels[i])
            for i in range(self.num_scales - 1, 0, -1))

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to as many maps, coarsest first."""
        if len(feats) != self.num_scales:
            raise ValueError(f'this YOLOV3Neck was built for {self.num_scales} maps, got '
                             f'{len(feats)}')
        outs = [self.detect1(feats[-1])]
        for i, (finer, upsample) in enumerate(zip(feats[-2::-1], reversed(self.upsample_modules)),
                                              start=1):
            x = getattr(self, f'conv{i}')(outs[-1])
            x = upsample(x, finer, finer.shape[2:])
            outs.append(getattr(self, f'detect{i + 1}')(torch.cat([x, finer], dim=1)))
        return tuple(outs)
