"""What all slots in mmseg's decode heads share: the sites that every head has.

``_transform_inputs`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/decode_head.py`` (Apache-2.0,
OpenMMLab); held to it by the parity tests of all heads.
"""
from types import SimpleNamespace

import torch
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, climb, ladder_steps


class UpsamplingHead(UpsamplingSlot):
    """Base of the slots in classes derived from mmseg's BaseDecodeHead.

    ``upsample_modules`` holds the steps of the head itself; then, in a head with
    ``input_transform='resize_concat'``, those that bring its inputs to the finest one's size, as in
    :func:`climb`; and last that of ``logits_upsampler``.

    Args:
        args, kwargs: As in :class:`UpsamplingSlot` and the host.
        logits_upsampler: x2 before the last convolution, which leaves so much less to the
            bilinear resizing of the logits; None: no such step.
    """

    optional = ('logits_upsampler', )
    decided_by = ('_given.in_channels', 'input_transform')

    @property
    def bilinear(self) -> dict:
        """The resizing of most heads."""
        return dict(mode='bilinear', align_corners=self.align_corners)

    def own_steps(self) -> list[Step]:
        """Those of the subclass."""
        return []

    def host_steps(self) -> list[Step]:
        own, inputs = self.own_steps(), []
        if self.input_transform == 'resize_concat':
            inputs = ladder_steps(self._given.in_channels, host=self.bilinear)
        self._input_modules = slice(len(own), len(own) + len(inputs))
        return [*own, *inputs, Step(self.channels, key='logits_upsampler')]

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Features (N, channels, h, w) to logits, twice as large with ``logits_upsampler``."""
        for upsample in self.upsamplers_of('logits_upsampler'):
            feat = upsample(feat)
        return super().cls_seg(feat)

    def _init_inputs(self, in_channels, in_index, input_transform):
        self._given = SimpleNamespace(in_channels=in_channels)  # which the host adds up
        super()._init_inputs(in_channels, in_index, input_transform)

    def _transform_inputs(self, inputs):
        if self.input_transform != 'resize_concat':
            return super()._transform_inputs(inputs)
        maps = [inputs[i] for i in self.in_index]
        return torch.cat(climb(maps, list(self.upsample_modules)[self._input_modules]), dim=1)
