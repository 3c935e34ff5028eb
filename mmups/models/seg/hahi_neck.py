"""The neck of DepthFormer: attention among a transformer's maps, and from a convolution's to them.

Li, Chen, Liu and Jiang, "DepthFormer: Exploiting Long-Range Correlation and Local Information for
Accurate Monocular Depth Estimation" (arXiv:2203.14211): hierarchical aggregation, heterogeneous
interaction. Follows a description of the neck in the Monocular-Depth-Estimation-Toolbox
(Apache-2.0; none of its code was read), by whose state-dict keys and 12,392,834 parameters it is
pinned down. Position encoding: Carion et al., "End-to-End Object Detection with Transformers"
(arXiv:2005.12872), not normalised.

Deviations: none known. Where the description leaves a choice, the attention from the convolution's
map goes to what the aggregation made of the others, and in each fusion the two maps lie side by
side in the order in which the description names them; no published weights could be tried.
"""
from collections.abc import Sequence
from typing import Optional

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import MultiScaleDeformableAttention
from mmengine.model import BaseModule, ModuleList, xavier_init
from torch import Tensor, nn

from mmups.registry import MODELS

TEMPERATURE = 10000
#: Pixels of the convolution's map that attend at a time: on a CPU each holds all that it samples,
#: 8 GB for the 240x320 of a picture of NYU.
QUERIES = 2**14


@MODELS.register_module()
class HAHIHeteroNeck(BaseModule):
    """Deformable attention over a transformer's levels, and from a finer map to all of them.

    Sizes and channels stay as they are: nothing is upsampled here.

    Args:
        in_channels: Channels of the convolution's map, then of the transformer's, finest first.
        embedding_dim: Channels in the attention, a multiple of 4 and of ``num_heads``.
        num_heads: Of both attentions.
        num_points: Points per head and level.
        norm_cfg: Of every convolution, each with a ReLU behind it; None: BN.
        init_cfg: As in mmengine's BaseModule.

    Raises:
        ValueError: There are fewer than two maps, or ``embedding_dim`` is no such multiple; in
            :meth:`forward`, another number of maps.
    """

    def __init__(self, in_channels: Sequence[int], embedding_dim: int = 256, num_heads: int = 8,
                 num_points: int = 8, norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None):
        super().__init__(init_cfg)
        if len(in_channels) < 2:
            raise ValueError('HAHIHeteroNeck needs the map of a convolution and one or more of a '
                             f'transformer, got in_channels={in_channels}')
        if embedding_dim % 4 or embedding_dim % num_heads:
            raise ValueError(f'embedding_dim must be a multiple of 4 and of num_heads={num_heads}, '
                             f'got embedding_dim={embedding_dim}')
        self.in_channels = tuple(in_channels)
        stem, *levels = in_channels

        def conv(before, after, kernel_size=1):
            return ConvModule(before, after, kernel_size, padding=kernel_size // 2,
                              norm_cfg=norm_cfg or dict(type='BN'))

        def attention():
            return MultiScaleDeformableAttention(
                embedding_dim, num_heads, len(levels), num_points, batch_first=True)

        self.lateral_convs = ModuleList(conv(c, c) for c in in_channels)
        self.trans_proj = ModuleList(conv(c, embedding_dim) for c in levels)
        self.trans_fusion = ModuleList(conv(c + embedding_dim, c, 3) for c in levels)
        self.conv_proj = nn.Sequential(conv(stem, embedding_dim))
        self.conv_fusion = nn.Sequential(conv(embedding_dim + stem, stem, 3))
        self.level_embed = nn.Parameter(torch.randn(len(levels), embedding_dim))
        self.reference_points = nn.Linear(embedding_dim, 2)
        xavier_init(self.reference_points, distribution='uniform')
        self.self_attn = attention()
        self.multi_att = attention()

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, C_i, h_i, w_i), the convolution's first, to maps of the same shapes."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this HAHIHeteroNeck was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        stem, *levels = (conv(x) for conv, x in zip(self.lateral_convs, inputs))
        sizes = [x.shape[2:] for x in levels]
        shapes = torch.tensor(sizes, device=stem.device)
        areas = shapes.prod(1)
        about = dict(spatial_shapes=shapes, level_start_index=areas.cumsum(0) - areas)

        tokens = torch.cat([_flat(proj(x)) for proj, x in zip(self.trans_proj, levels)], 1)
        positions = torch.cat([_flat(sine_positions(x, self.embed_dims)) + embed
                               for x, embed in zip(levels, self.level_embed)], 1)
        memory = self.self_attn(tokens, query_pos=positions, **about,
                                reference_points=self._on_all_levels(_centres(levels)))

        positions = _flat(sine_positions(stem, self.embed_dims))
        points = self.reference_points(positions).sigmoid()
        parts = (x.split(QUERIES, 1) for x in (_flat(self.conv_proj(stem)), positions, points))
        queries = torch.cat([
            self.multi_att(query, value=memory, query_pos=position, **about,
                           reference_points=self._on_all_levels(point))
            for query, position, point in zip(*parts)], 1)

        stem = self.conv_fusion(torch.cat([_maps(queries, stem.shape[2:]), stem], 1))
        found = memory.split([h * w for h, w in sizes], 1)
        return [stem, *(fuse(torch.cat([x, _maps(new, x.shape[2:])], 1))
                        for fuse, x, new in zip(self.trans_fusion, levels, found))]

    @property
    def embed_dims(self) -> int:
        return self.level_embed.shape[1]

    def _on_all_levels(self, points: Tensor) -> Tensor:
        """Points (1, L, 2) as those of each level, (1, L, levels, 2)."""
        return points[:, :, None].expand(-1, -1, len(self.level_embed), -1)


def sine_positions(like: Tensor, channels: int) -> Tensor:
    """Sines and cosines of the rows, then of the columns, counted from 1.

    Args:
        like: A map (N, C, h, w).
        channels: A multiple of 4.

    Returns:
        (1, channels, h, w), in the type of ``like``.
    """
    half = channels // 2
    exponents = torch.arange(half, device=like.device).div(2, rounding_mode='floor') * (2 / half)
    waves = TEMPERATURE**exponents
    parts = []
    for axis in (2, 3):
        angles = torch.arange(1, like.shape[axis] + 1, device=like.device)[:, None] / waves
        part = torch.stack([angles[:, ::2].sin(), angles[:, 1::2].cos()], 2).flatten(1).T
        parts.append(part.unsqueeze(4 - axis).expand(-1, *like.shape[2:]))
    return torch.cat(parts)[None].to(like)


def _centres(maps: Sequence[Tensor]) -> Tensor:
    """Centres of all pixels as (x, y) in 0 .. 1, (1, L, 2)."""
    grids = []
    for x in maps:
        rows, columns = ((torch.arange(n, device=x.device) + 0.5) / n for n in x.shape[2:])
        grids.append(torch.stack(torch.meshgrid(rows, columns, indexing='ij')[::-1], -1))
    return torch.cat([grid.flatten(0, 1) for grid in grids])[None].to(maps[0])


def _flat(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, h w, C)."""
    return x.flatten(2).transpose(1, 2)


def _maps(tokens: Tensor, size: Sequence[int]) -> Tensor:
    """(N, h w, C) to (N, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, tuple(size))
