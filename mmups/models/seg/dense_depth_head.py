"""The depth decoder of DepthFormer, whose steps are upsamplers.

Bhat, Alhashim and Wonka, "AdaBins: Depth Estimation Using Adaptive Bins" (arXiv:2011.14141), the
decoder; Li et al., "DepthFormer" (arXiv:2203.14211). Follows a description of the head in the
Monocular-Depth-Estimation-Toolbox (Apache-2.0; none of its code was read), whose state-dict keys it
has.

Deviations: the channels of a stage are those of its skip connection, as in the toolbox's configs;
the toolbox can have others.
"""
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, Union

import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmseg.models.decode_heads import VPDDepthHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, beside_guide, register_slot


@register_slot()
class DenseDepthHead(UpsamplingSlot, BaseDecodeHead):
    """Decoder of DepthFormer: a stage brings the map to its skip connection, and convolves twice.

    ``upsample_modules[i]`` is in the stage of ``conv_list[i + 1]``, the coarsest first. Without an
    upsampler a stage interpolates bilinearly with aligned corners, as the toolbox does.

    Args:
        in_channels: Channels of the maps, finest first.
        min_depth: Least depth in metres, which is added to what the last convolution says.
        max_depth: Largest depth in metres; predictions in tests are clamped to the two.
        scale_up: True: depths are the sigmoid of the last convolution times ``max_depth``, which
            learns from scratch; False: its positive part.
        align_corners: Of bilinear interpolation, in the stages and to the size of the image.
        loss_decode: Of one loss or several, each a function of prediction and truth; None:
            ``mmups.SigLoss``.
        init_cfg: As in mmengine's BaseModule.
        kwargs: As in :class:`UpsamplingSlot` and mmseg's BaseDecodeHead.

    Raises:
        ValueError: The two depths are no range of positive numbers.
    """

    decided_by = ('in_channels', )
    guide = 'the skip connection'

    def __init__(self, in_channels: Sequence[int], min_depth: float = 1e-3, max_depth: float = 10.,
                 scale_up: bool = False, align_corners: bool = True,
                 loss_decode: Union[dict, Sequence[dict], None] = None,
                 init_cfg: Union[dict, list, None] = None, **kwargs: Any):
        if not 0 < min_depth < max_depth:
            raise ValueError(f'depths go from min_depth to max_depth, 0 < min_depth < max_depth; '
                             f'got min_depth={min_depth}, max_depth={max_depth}')
        super().__init__(in_channels=in_channels, channels=in_channels[0], num_classes=1,
                         out_channels=1, threshold=0., dropout_ratio=0,
                         in_index=kwargs.pop('in_index', tuple(range(len(in_channels)))),
                         input_transform='multiple_select', align_corners=align_corners,
                         loss_decode=loss_decode or dict(type='mmups.SigLoss'),
                         act_cfg=dict(type='LeakyReLU'), init_cfg=init_cfg, **kwargs)
        self.min_depth, self.max_depth, self.scale_up = min_depth, max_depth, scale_up
        del self.conv_seg  # there are no classes
        conv = partial(ConvModule, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg)
        stage = partial(conv, kernel_size=3, padding=1, act_cfg=self.act_cfg)
        coarsest = self.in_channels[-1]
        self.conv_list = ModuleList([conv(coarsest, coarsest, 1, act_cfg=None)])
        self.conv_list.extend(
            nn.Sequential(OrderedDict(convA=stage(coarse + skip, skip), convB=stage(skip, skip)))
            for coarse, skip in self._stage_channels())
        self.conv_depth = nn.Conv2d(self.channels, 1, 3, padding=1)

    def _stage_channels(self) -> list[tuple[int, int]]:
        """Channels of the map that comes up, and of the skip connection and the result."""
        channels = self.in_channels[::-1]
        return list(zip(channels, channels[1:]))

    def host_steps(self) -> list[Step]:
        bilinear = dict(mode='bilinear', align_corners=self.align_corners)
        return [Step(coarse, skip, host=bilinear) for coarse, skip in self._stage_channels()]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps (N, C_i, h_i, w_i), finest first, to depths (N, 1, h_0, w_0) in metres."""
        maps = self._transform_inputs(inputs)
        first, *stages = self.conv_list
        x = first(maps[-1])
        for upsample, convs, skip in zip(self.upsample_modules, stages, maps[-2::-1]):
            x = convs(torch.cat(beside_guide(x, skip, upsample), dim=1))
        x = self.conv_depth(x)
        return x.sigmoid() * self.max_depth if self.scale_up else x.relu() + self.min_depth

    def predict_by_feat(self, depth: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Depths (N, 1, h, w) of the size of the images, within the two limits."""
        depth = depth.clamp(self.min_depth, self.max_depth)
        return super().predict_by_feat(depth, batch_img_metas)

    # mmseg's own for depth.
    _stack_batch_gt = VPDDepthHead._stack_batch_gt
    loss_by_feat = VPDDepthHead.loss_by_feat
