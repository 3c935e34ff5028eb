"""What all slots in mmseg's decode heads share: where their upsamplers are built, and the sites
that every head has.

``_transform_inputs`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/decode_head.py`` (Apache-2.0,
OpenMMLab); held to it by the parity tests of all heads.
"""
from collections.abc import Iterable
from typing import Optional

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmups.models.layers import NoSite, build_ladder, climb
from mmups.models.upsamplers import build_upsampler


class UpsamplingHead:
    """Mixin before a class derived from mmseg's BaseDecodeHead.

    ``upsample_modules`` holds what ``build_upsamplers`` of the subclass returns; then, in a head
    with ``input_transform='resize_concat'``, the steps that bring its inputs to the finest one's
    size, as in :func:`climb`; and last that of ``logits_upsampler``.

    Args:
        upsampler: The method and its arguments; None: the host's resizing.
        logits_upsampler: x2 before the last convolution, which leaves so much less to the
            bilinear resizing of the logits; None: no such step.

    Raises:
        NoSite: ``upsampler`` in a head that upsamples nothing.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None,
                 logits_upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = ModuleList(self.build_upsamplers(upsampler))
        self._ladder_start = len(self.upsample_modules)
        if self.input_transform == 'resize_concat':
            resize = dict(mode='bilinear', align_corners=self.align_corners)
            self.upsample_modules.extend(build_ladder(upsampler or resize, self._map_channels))
        self._upsamples_logits = logits_upsampler is not None
        if self._upsamples_logits:
            self.upsample_modules.append(build_upsampler(logits_upsampler, self.channels))

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        """The modules of the head's own sites; None: those that do what the host does.

        A subclass whose arguments leave no site returns what this returns.
        """
        concatenates = self.input_transform == 'resize_concat' and len(self._map_channels) > 1
        if upsampler is not None and not concatenates:
            raise NoSite(f'{type(self).__name__} with in_channels={self._map_channels} and '
                         f'input_transform={self.input_transform!r} has no upsampling step for '
                         '`upsampler`; its final logits have `logits_upsampler`')
        return []

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Features (N, channels, h, w) to logits, twice as large with ``logits_upsampler``."""
        if self._upsamples_logits:
            feat = self.upsample_modules[-1](feat)
        return super().cls_seg(feat)

    def _init_inputs(self, in_channels, in_index, input_transform):
        self._map_channels = in_channels
        super()._init_inputs(in_channels, in_index, input_transform)

    def _transform_inputs(self, inputs):
        if self.input_transform != 'resize_concat':
            return super()._transform_inputs(inputs)
        maps = [inputs[i] for i in self.in_index]
        ladder = list(self.upsample_modules)[self._ladder_start:]
        return torch.cat(climb(maps, ladder), dim=1)
