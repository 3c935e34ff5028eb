"""What all slots in mmseg's decode heads share: the sites that every head has.

``_transform_inputs`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/decode_head.py`` (Apache-2.0,
OpenMMLab); held to it by the parity tests of all heads.
"""
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

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
        direct: True: where maps climb to the finest one, each does so in one step, of x2, x4 or x8,
            guided by the finest map; False: in steps of x2.
        logits_upsampler: x2 before the last convolution, which leaves so much less to the
            bilinear resizing of the logits; None: no such step.

    Raises:
        ValueError: ``direct`` without an upsampler that climbs.
    """

    optional = ('logits_upsampler', )
    decided_by = ('_given.in_channels', 'input_transform')

    def __init__(self, *args: Any, direct: bool = False, **kwargs: Any):
        self.direct = direct
        self._climbing: set[str] = set()  # config keys
        super().__init__(*args, **kwargs)
        if direct and not self._climbing & self.swapped:
            needed = ', '.join(sorted(self._climbing))
            raise ValueError(
                f'direct=True is for upsamplers that bring several maps to the finest one: in this '
                f'{type(self).__name__} ' + (f'configure {needed}' if needed else 'there is none'))

    @property
    def bilinear(self) -> dict:
        """The resizing of most heads."""
        return dict(mode='bilinear', align_corners=self.align_corners)

    def own_steps(self) -> list[Step]:
        """Those of the subclass."""
        return []

    def ladder(self, channels: Sequence[int], key: str = 'upsampler', **options: Any) -> list[Step]:
        """Steps as in :func:`ladder_steps`, direct ones where they are wanted."""
        self._climbing.add(key)
        return ladder_steps(channels, direct=self.direct, key=key, **options)

    def host_steps(self) -> list[Step]:
        own, inputs = self.own_steps(), []
        if self.input_transform == 'resize_concat':
            inputs = self.ladder(self._given.in_channels, host=self.bilinear)
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
