"""The pixel decoders of MaskFormer and Mask2Former with upsamplers in their top-down paths.

The ``encode`` and ``forward`` methods follow mmdet 3.3.0, ``mmdet/models/layers/pixel_decoder.py``
and ``msdeformattn_pixel_decoder.py`` (Apache-2.0, OpenMMLab); held to them by parity tests. mmseg
takes the decoders from mmdet, and so these too.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models import layers as hosts
from mmdet.models.dense_heads import maskformer_head
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot, add_to_guide, register_slot


class UpsamplingPixelDecoder(UpsamplingSlot):
    """Base of the slots in pixel decoders with ``lateral_convs`` and ``output_convs``.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i.
    """

    guide = 'the lateral map'
    host_mode = 'nearest'

    def host_steps(self) -> list[Step]:
        channels = self.mask_feature.in_channels
        return [Step(channels, channels, host=dict(mode=self.host_mode))
                for _ in self.lateral_convs]

    def top_down(self, y: Tensor, feats: Sequence[Tensor]) -> list[Tensor]:
        """From the coarse map ``y`` to the finest of ``feats``: ``y`` and a map per level."""
        maps = [y]
        for i in range(len(self.lateral_convs) - 1, -1, -1):
            lateral, upsample = self.lateral_convs[i](feats[i]), self.upsample_modules[i]
            y = upsample(maps[-1], lateral, lateral.shape[2:])
            maps.append(self.output_convs[i](add_to_guide(lateral, y, upsample)))
        return maps


class UpsamplingMaskFormerDecoder(UpsamplingPixelDecoder):
    """Base of the two decoders of MaskFormer; ``encode`` gives the memory and the map from which
    the top-down path starts."""

    decided_by = ('in_channels', )

    def forward(self, feats: Sequence[Tensor], batch_img_metas: list[dict]
                ) -> tuple[Tensor, Tensor]:
        """Backbone maps, finest first, to mask features at the finest size, and the memory."""
        self.check_maps(feats, self.num_inputs)
        memory, y = self.encode(feats[-1], batch_img_metas)
        return self.mask_feature(self.top_down(y, feats)[-1]), memory


@register_slot(hosts.PixelDecoder)
class PixelDecoder(UpsamplingMaskFormerDecoder, hosts.PixelDecoder):
    """Pixel decoder of MaskFormer without an encoder: its top-down path."""

    def encode(self, x: Tensor, batch_img_metas: list[dict]) -> tuple[Tensor, Tensor]:
        return x, self.last_feat_conv(x)


class _HostOrSlot:
    """Equal to the class of the host and to those of the slot, which are not equal themselves."""

    def __eq__(self, cls: type) -> bool:
        return cls is hosts.PixelDecoder or issubclass(cls, PixelDecoder)


# mmdet's MaskFormerHead projects the memory of a decoder only if ``type(decoder) == PixelDecoder``.
maskformer_head.PixelDecoder = _HostOrSlot()


@register_slot(hosts.TransformerEncoderPixelDecoder)
class TransformerEncoderPixelDecoder(UpsamplingMaskFormerDecoder,
                                     hosts.TransformerEncoderPixelDecoder):
    """Pixel decoder of MaskFormer with a transformer encoder on the coarsest map, likewise."""

    def encode(self, x: Tensor, batch_img_metas: list[dict]) -> tuple[Tensor, Tensor]:
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
        memory = memory.transpose(1, 2).unflatten(2, x.shape[2:])
        return memory, self.encoder_out_proj(memory)


@register_slot(hosts.MSDeformAttnPixelDecoder)
class MSDeformAttnPixelDecoder(UpsamplingPixelDecoder, hosts.MSDeformAttnPixelDecoder):
    """Pixel decoder of Mask2Former. Above its encoder's levels, 1/8 to 1/4, are upsamplers."""

    decided_by = ('num_input_levels', 'num_encoder_levels')
    host_mode = 'bilinear'

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Backbone maps, finest first, to mask features at the finest size, and ``num_outs`` maps,
        coarsest first."""
        self.check_maps(feats, self.num_input_levels)
        maps = self.encode(feats[::-1][:self.num_encoder_levels])
        maps += self.top_down(maps[-1], feats)[1:]
        return self.mask_feature(maps[-1]), maps[:self.num_outs]

    def encode(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The encoder's levels, coarsest first."""
        n = maps[0].shape[0]
        # As in mmdet tensors, which a tracer follows.
        shapes = [torch._shape_as_tensor(x)[2:].to(x.device) for x in maps]
        queries, positions, points = [], [], []
        for i, (x, shape) in enumerate(zip(maps, shapes)):
            level = self.num_input_levels - 1 - i
            unpadded = x.new_zeros((n, *x.shape[2:]), dtype=torch.bool)
            position = (self.level_encoding.weight[i].view(1, -1, 1, 1)
                        + self.postional_encoding(unpadded))
            centres = self.point_generator.single_level_grid_priors(
                x.shape[2:], level, device=x.device)
            queries.append(self.input_convs[i](x).flatten(2).transpose(1, 2))
            positions.append(position.flatten(2).transpose(1, 2))
            points.append(centres / (shape.flip(0) * self.strides[level]))
        query, spatial_shapes = torch.cat(queries, dim=1), torch.stack(shapes)
        ends = spatial_shapes.prod(1).cumsum(0)
        points = torch.cat(points)[None, :, None].repeat(n, 1, len(maps), 1)
        memory = self.encoder(
            query=query, query_pos=torch.cat(positions, dim=1),
            key_padding_mask=query.new_zeros(query.shape[:2], dtype=torch.bool),
            spatial_shapes=spatial_shapes, reference_points=points,
            level_start_index=torch.cat([ends.new_zeros(1), ends[:-1]]),
            valid_ratios=points.new_ones((n, len(maps), 2)))
        sizes = [x.shape[2:] for x in maps]
        levels = memory.split([h * w for h, w in sizes], dim=1)
        return [x.transpose(1, 2).unflatten(2, size) for x, size in zip(levels, sizes)]
