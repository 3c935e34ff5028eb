"""mmdet's SOLO heads with upsamplers: the mask feature branch of SOLOv2, the coarsest map of SOLO.

``MaskFeatures.forward`` and ``resize_feats`` follow mmdet 3.3.0,
``mmdet/models/dense_heads/solov2_head.py`` and ``solo_head.py`` (Apache-2.0, OpenMMLab); held to
them by parity tests.
"""
from collections.abc import Sequence
from typing import Optional

import torch
from mmdet.models.dense_heads import DecoupledSOLOHead as HostDecoupledSOLOHead
from mmdet.models.dense_heads import DecoupledSOLOLightHead as HostDecoupledSOLOLightHead
from mmdet.models.dense_heads import SOLOHead as HostSOLOHead
from mmdet.models.dense_heads import SOLOV2Head as HostSOLOV2Head
from mmdet.models.dense_heads.solov2_head import MaskFeatModule
from mmdet.models.utils import generate_coordinate
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmups.models.layers import NoSite, register_slot
from mmups.models.upsamplers import build_upsampler


class MaskFeatures(BaseModule):
    """The convolutions of mmdet's MaskFeatModule with upsamplers between them.

    Level i takes i steps to the size of level 0; ``upsample_modules`` holds those of the finest
    level first. The guide of a step is the input map of the level that it reaches.

    Args:
        host: mmdet's module; all but its nn.Upsample layers is kept, with its keys.
        upsampler: The method and its arguments.
    """

    def __init__(self, host: MaskFeatModule, upsampler: dict):
        super().__init__(host.init_cfg)
        self.start_level = host.start_level
        self.end_level = host.end_level
        self.convs_all_levels = host.convs_all_levels
        self.conv_pred = host.conv_pred
        for convs in self.convs_all_levels:
            for name, layer in list(convs.named_children()):
                if isinstance(layer, nn.Upsample):
                    delattr(convs, name)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, host.feat_channels, guide_channels=host.in_channels)
            for level in range(host.start_level, host.end_level + 1) for _ in range(level))

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """All maps of the neck, finest first, to mask features at the finest size."""
        upsamplers = iter(self.upsample_modules)
        lifted = []
        for level, convs in enumerate(self.convs_all_levels, self.start_level):
            y = x[level]
            if level == self.end_level:
                y = torch.cat([y, generate_coordinate(y.size(), y.device)], dim=1)
            for conv in convs:
                y = conv(y)
                if level > 0:
                    level -= 1
                    y = next(upsamplers)(y, x[level], x[level].shape[2:])
            lifted.append(y)
        return self.conv_pred(sum(lifted))


@register_slot(HostSOLOV2Head)
class SOLOV2Head(HostSOLOV2Head):
    """Head of SOLOv2 whose mask feature branch has upsamplers, 1 + 2 + 3 for four levels.

    With an upsampler the maps may have any size.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmdet.
        kwargs: As in mmdet's SOLOV2Head.

    Raises:
        NoSite: ``upsampler`` in a branch that takes the finest map only.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        if self.mask_feature_head.end_level == 0:
            raise NoSite('mask_feature_head with end_level=0 takes the finest map only: there '
                         'is nothing to upsample')
        self.mask_feature_head = MaskFeatures(self.mask_feature_head, upsampler)


class UpsamplingSOLOHead:
    """Mixin before a SOLO head: the step that brings its coarsest map to the size of the next,
    which guides it, is an upsampler.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmdet.

    Raises:
        NoSite: ``upsampler`` in a head of one level.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            self.upsample_modules = ModuleList()
            return
        if self.num_levels < 2:
            raise NoSite(f'{type(self).__name__} with strides={self.strides} has one level: '
                         'there is nothing to upsample')
        self.upsample_modules = ModuleList(
            [build_upsampler(upsampler, self.in_channels, guide_channels=self.in_channels)])

    def resize_feats(self, x: Sequence[Tensor]) -> list[Tensor]:
        """The maps of the neck, with those at both ends brought to the size of their neighbour."""
        if not self.upsample_modules:
            return super().resize_feats(x)
        *finer, coarsest = x
        up = self.upsample_modules[0](coarsest, finer[-1], finer[-1].shape[2:])
        # mmdet resizes the map at the end to its neighbour's size, which it has by now.
        return super().resize_feats([*finer, up])


@register_slot(HostSOLOHead)
class SOLOHead(UpsamplingSOLOHead, HostSOLOHead):
    """Head of SOLO.

    Args:
        upsampler: As in :class:`UpsamplingSOLOHead`.
        kwargs: As in mmdet's SOLOHead.
    """


@register_slot(HostDecoupledSOLOHead)
class DecoupledSOLOHead(UpsamplingSOLOHead, HostDecoupledSOLOHead):
    """Head of Decoupled SOLO.

    Args:
        upsampler: As in :class:`UpsamplingSOLOHead`.
        kwargs: As in mmdet's DecoupledSOLOHead.
    """


@register_slot(HostDecoupledSOLOLightHead)
class DecoupledSOLOLightHead(UpsamplingSOLOHead, HostDecoupledSOLOLightHead):
    """Head of Decoupled SOLO, the light one.

    Args:
        upsampler: As in :class:`UpsamplingSOLOHead`.
        kwargs: As in mmdet's DecoupledSOLOLightHead.
    """
