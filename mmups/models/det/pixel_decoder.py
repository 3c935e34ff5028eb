"""The pixel decoders of MaskFormer and Mask2Former with upsamplers in their top-down paths.

The ``forward`` methods follow mmdet 3.3.0, ``mmdet/models/layers/pixel_decoder.py`` and
``msdeformattn_pixel_decoder.py`` (Apache-2.0, OpenMMLab); held to them by parity tests. mmseg
takes the decoders from mmdet, and so these too.
"""
from abc import ABCMeta
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet.models.layers import MSDeformAttnPixelDecoder as HostMSDeformAttnPixelDecoder
from mmdet.models.layers import PixelDecoder as HostPixelDecoder
from mmdet.models.layers import TransformerEncoderPixelDecoder as HostTransformerEncoderPixelDecoder
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import NoSite, add_to_guide, register_slot
from mmups.models.upsamplers import build_upsampler


class UpsamplingPixelDecoder:
    """Mixin before a pixel decoder with ``lateral_convs`` and ``output_convs``.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i.

    Args:
        upsampler: The method and its arguments; None: the host's interpolation, ``host_mode``.

    Raises:
        NoSite: ``upsampler`` in a decoder without lateral maps.
    """

    host_mode = 'nearest'

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        channels = self.mask_feature.in_channels
        if upsampler is not None and not self.lateral_convs:
            raise NoSite(f'{type(self).__name__} has no level that is finer than its first map or '
                         "its encoder's: there is nothing to upsample")
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or dict(mode=self.host_mode), channels,
                            guide_channels=channels)
            for _ in self.lateral_convs)

    def top_down(self, y: Tensor, feats: Sequence[Tensor]) -> list[Tensor]:
        """From the coarse map ``y`` to the finest of ``feats``: ``y`` and a map per level."""
        maps = [y]
        for i in range(len(self.lateral_convs) - 1, -1, -1):
            lateral, upsample = self.lateral_convs[i](feats[i]), self.upsample_modules[i]
            y = upsample(maps[-1], lateral, lateral.shape[2:])
            maps.append(self.output_convs[i](add_to_guide(lateral, y, upsample)))
        return maps


class _EqualsHost(ABCMeta):
    """mmdet's MaskFormerHead projects the memory of a decoder only if ``type(decoder) ==
    PixelDecoder``, where a subclass would miss its projection."""

    def __eq__(cls, other):
        return other is HostPixelDecoder or cls is other

    __hash__ = ABCMeta.__hash__


@register_slot(HostPixelDecoder)
class PixelDecoder(UpsamplingPixelDecoder, HostPixelDecoder, metaclass=_EqualsHost):
    """Pixel decoder of MaskFormer without an encoder.

    Args:
        upsampler: As in :class:`UpsamplingPixelDecoder`.
        kwargs: As in mmdet's PixelDecoder.
    """

    def forward(self, feats: Sequence[Tensor], batch_img_metas: list[dict]
                ) -> tuple[Tensor, Tensor]:
        """Backbone maps, finest first, to mask features at the finest size, and the memory."""
        maps = self.top_down(self.last_feat_conv(feats[-1]), feats)
        return self.mask_feature(maps[-1]), feats[-1]


@register_slot(HostTransformerEncoderPixelDecoder)
class TransformerEncoderPixelDecoder(UpsamplingPixelDecoder, HostTransformerEncoderPixelDecoder):
    """Pixel decoder of MaskFormer with a transformer encoder on the coarsest map.

    Args:
        upsampler: As in :class:`UpsamplingPixelDecoder`.
        kwargs: As in mmdet's TransformerEncoderPixelDecoder.
    """

    def forward(self, feats: Sequence[Tensor], batch_img_metas: list[dict]
                ) -> tuple[Tensor, Tensor]:
        """Backbone maps, finest first, to mask features at the finest size, and the memory."""
        memory = self._encode(feats[-1], batch_img_metas)
        maps = self.top_down(self.encoder_out_proj(memory), feats)
        return self.mask_feature(maps[-1]), memory

    def _encode(self, x: Tensor, batch_img_metas: list[dict]) -> Tensor:
        padding = x.new_ones((len(x), *batch_img_metas[0]['batch_input_shape']),
                             dtype=torch.float32)
        for mask, meta in zip(padding, batch_img_metas):
            h, w = meta['img_shape'][:2]
            mask[:h, :w] = 0
        padding = F.interpolate(padding[:, None], size=x.shape[2:]).bool()[:, 0]
        memory = self.encoder(
            query=self.encoder_in_proj(x).flatten(2).transpose(1, 2),
            query_pos=self.positional_encoding(padding).flatten(2).transpose(1, 2),
            key_padding_mask=padding.flatten(1))
        return memory.transpose(1, 2).unflatten(2, x.shape[2:])


@register_slot(HostMSDeformAttnPixelDecoder)
class MSDeformAttnPixelDecoder(UpsamplingPixelDecoder, HostMSDeformAttnPixelDecoder):
    """Pixel decoder of Mask2Former. Above its encoder's levels, 1/8 to 1/4, are upsamplers.

    Args:
        upsampler: As in :class:`UpsamplingPixelDecoder`.
        kwargs: As in mmdet's MSDeformAttnPixelDecoder.
    """

    host_mode = 'bilinear'

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Backbone maps, finest first, to mask features at the finest size, and ``num_outs`` maps,
        coarsest first."""
        maps = self._encode(feats)
        maps += self.top_down(maps[-1], feats)[1:]
        return self.mask_feature(maps[-1]), maps[:self.num_outs]

    def _encode(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """The encoder's levels, coarsest first."""
        queries, positions, points, shapes = [], [], [], []
        for i, conv in enumerate(self.input_convs):
            level = self.num_input_levels - 1 - i
            x = feats[level]
            n, _, h, w = x.shape
            unpadded = x.new_zeros((n, h, w), dtype=torch.bool)
            position = (self.level_encoding.weight[i].view(1, -1, 1, 1)
                        + self.postional_encoding(unpadded))
            # As in mmdet a tensor, which a tracer follows.
            shape = torch._shape_as_tensor(x)[2:].to(x.device)
            centres = self.point_generator.single_level_grid_priors((h, w), level, device=x.device)
            queries.append(conv(x).flatten(2).transpose(1, 2))
            positions.append(position.flatten(2).transpose(1, 2))
            points.append(centres / (shape.flip(0) * self.strides[level]))
            shapes.append(shape)
        query, position = torch.cat(queries, dim=1), torch.cat(positions, dim=1)
        spatial_shapes = torch.stack(shapes)
        ends = spatial_shapes.prod(1).cumsum(0)
        points = torch.cat(points)[None, :, None].repeat(n, 1, len(shapes), 1)
        memory = self.encoder(
            query=query,
            query_pos=position,
            key_padding_mask=query.new_zeros(query.shape[:2], dtype=torch.bool),
            spatial_shapes=spatial_shapes,
            reference_points=points,
            level_start_index=torch.cat([ends.new_zeros(1), ends[:-1]]),
            valid_ratios=points.new_ones((n, len(shapes), 2)))
        sizes = [x.shape[2:] for x in feats[::-1][:len(shapes)]]
        levels = memory.split([h * w for h, w in sizes], dim=1)
        return [x.transpose(1, 2).unflatten(2, size) for x, size in zip(levels, sizes)]
