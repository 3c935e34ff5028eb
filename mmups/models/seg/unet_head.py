"""The UNet decoder of the LCTC paper, over any backbone that mmseg has.

Agnihotri, Grabinski and Keuper, "Improving Feature Stability during Upsampling -- Spectral
Artifacts and the Importance of Spatial Context" (ECCV 2024, arXiv:2311.17524), segmentation.
Follows a description of the UNet in the authors' release of CosPGD (MIT; none copied), whose
baseline is that of the paper as far as is known.

Deviations: the encoder is mmseg's; the paper's is ConvNeXt-T, which mmseg takes from mmpretrain.
"""
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmups.models.layers import Step, beside_guide, register_slot

from .head import UpsamplingHead


@register_slot()
class UNetHead(UpsamplingHead, BaseDecodeHead):
    """UNet's decoder: each stage upsamples, takes in the skip connection, and convolves twice.

    ``upsample_modules[i]`` brings the map to the size of the next finer one of ``in_channels``; the
    stages behind the finest of these have no skip connection and double the size. Without an
    upsampler a stage has the paper's baseline, a depthwise transposed convolution with kernel 2.

    Args:
        in_channels: Channels of the backbone's maps, finest first, each half as large as the one
            before.
        channels: Width of each stage, coarsest first: as many as maps, less one, and one more for
            each further doubling.
        kernel_size: Odd size of the ordinary convolutions in the stages, which are not those that
            upsample; 3 in the paper, and larger in its null hypothesis.
        kwargs: As in :class:`UpsamplingHead` and mmseg's BaseDecodeHead.

    Raises:
        ValueError: There are fewer stages than maps need, or ``kernel_size`` is even.
    """

    decided_by = ('in_channels', 'stages')
    guide = 'the skip connection, in stages that have one'

    def __init__(self, in_channels: Sequence[int], channels: Sequence[int] = (256, 128, 64, 32, 16),
                 kernel_size: int = 3, **kwargs: Any):
        self.stages = tuple(channels)
        if len(self.stages) < len(in_channels) - 1 or not self.stages:
            raise ValueError(f'{len(in_channels)} maps need {max(len(in_channels) - 1, 1)} stages '
                             f'or more, got channels={channels}')
        if kernel_size % 2 != 1:
            raise ValueError(f'kernel_size must be odd, got kernel_size={kernel_size}')
        super().__init__(in_channels=in_channels, channels=self.stages[-1],
                         in_index=kwargs.pop('in_index', tuple(range(len(in_channels)))),
                         input_transform='multiple_select', **kwargs)
        conv = partial(ConvModule, kernel_size=kernel_size, padding=kernel_size // 2,
                       conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        deepest = self.in_channels[-1]
        self.center = nn.Sequential(conv(deepest, deepest), conv(deepest, deepest))
        self.stage_convs = ModuleList(
            nn.Sequential(conv(coarse + (skip or 0), width), conv(width, width))
            for coarse, skip, width in self._stage_channels())

    def _stage_channels(self) -> list[tuple[int, Any, int]]:
        """Channels of the map that comes up, of the skip connection or None, and of the result."""
        skips = [*self.in_channels[-2::-1]]
        skips += [None] * (len(self.stages) - len(skips))
        return list(zip((self.in_channels[-1], *self.stages), skips, self.stages))

    def own_steps(self) -> list[Step]:
        return [Step(coarse, skip, host=partial(nn.ConvTranspose2d, coarse, coarse, 2, 2,
                                                groups=coarse))
                for coarse, skip, _ in self._stage_channels()]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps of a backbone, finest first, to logits."""
        maps = self._transform_inputs(inputs)
        x = self.center(maps[-1])
        skips = iter(maps[-2::-1])
        for upsample, convs in zip(self.upsample_modules, self.stage_convs):
            skip = next(skips, None)
            if skip is None or 'upsampler' not in self.swapped:
                x = upsample(x)
            else:
                x, skip = beside_guide(x, skip, upsample)
            x = convs(x if skip is None else torch.cat([x, skip], dim=1))
        return self.cls_seg(x)
