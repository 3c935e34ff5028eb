"""LDA-AQU: local deformable attention with queries of the fine pixels.

Du, Hu, Zhao, Jin and Ma, "LDA-AQU: Adaptive Query-guided Upsampling via Local Deformable Attention"
(ACM MM 2024, arXiv:2411.19585). Official code: duzw9311/LDA-AQU (Apache-2.0); none was read, only
its forms, key names and initial values. State-dict keys are the authors': ``layer_norm.norm``,
``proj_q``, ``proj_k``, ``conv_offset.{0,1.norm,3}``, ``relative_position_bias_table``.

Deviations from the paper: none known. From the authors' code: coordinates are float32 at least, and
no K*K copies of keys and values are kept.
"""
import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import aligned_points, deform_attend, deform_query_key, softmax
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int


class _LayerNorm(nn.Module):
    """Layer norm over the channels of each pixel of a map."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class LDAAQU(BaseUpsampler):
    """Sums over a small window of moving points, weighted by the fine pixel's own query.

    The query of a fine pixel is interpolated from the coarse map. It says how far each of the K*K
    points around the pixel moves, and how much each counts. The corner pixels of both maps lie on
    one another (``align_corners=True``), as the released weights were trained. What lies outside
    the map counts as zero and takes its share of the weights: a constant map comes out smaller at
    its border, at the start about 0.85 of it at edges and 0.72 in corners.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Not needed.
        reduction_factor: Queries and keys have D = C // reduction_factor channels. 4 is the paper's
            model, 16 its light one.
        groups: Groups of channels with points of their own; divides C and D.
        heads: Groups of channels with weights of their own; divides C and D.
        up_kernel: Odd window size K, in fine pixels.
        encoder_kernel: Odd kernel of the convolution that predicts the points.
        range_factor: How many fine pixels a point moves at most.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, a kernel is even, or C or D is not
            divisible by ``groups`` and ``heads``.

    >>> LDAAQU(64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, reduction_factor: int = 4, groups: int = 2,
                 heads: int = 1, up_kernel: int = 3, encoder_kernel: int = 3,
                 range_factor: int = 11, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        embedding = self.in_channels // check_int('reduction_factor', reduction_factor)
        self.groups = check_groups(self, 'groups', groups)
        self.heads = check_groups(self, 'heads', heads)
        if not embedding or embedding % self.groups or embedding % self.heads:
            raise ValueError(
                'LDAAQU needs in_channels // reduction_factor divisible by groups and heads, got '
                f'in_channels={self.in_channels}, {reduction_factor=}, {groups=}, {heads=}')
        self.up_kernel = check_int('up_kernel', up_kernel, odd=True)
        encoder_kernel = check_int('encoder_kernel', encoder_kernel, odd=True)
        self.range_factor = check_int('range_factor', range_factor)
        taps, of_group = self.up_kernel**2, embedding // self.groups
        self.layer_norm = _LayerNorm(self.in_channels)
        self.proj_q = nn.Conv2d(self.in_channels, embedding, 1, bias=False)
        self.proj_k = nn.Conv2d(self.in_channels, embedding, 1, bias=False)
        self.conv_offset = nn.Sequential(
            nn.Conv2d(of_group, of_group, 3, padding=1, groups=of_group, bias=False),
            _LayerNorm(of_group), nn.GELU(),
            nn.Conv2d(of_group, 2 * taps, encoder_kernel, padding=encoder_kernel // 2))
        self.relative_position_bias_table = nn.Parameter(
            torch.empty(1, self.heads, 1, taps, embedding // self.heads))
        self.init_weights()

    def init_weights(self) -> None:
        """Starts with a window that does not move."""
        to_hidden, norm, _, to_shift = self.conv_offset
        for layer in (self.proj_q, self.proj_k, to_hidden):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.layer_norm, norm):
            layer.norm.reset_parameters()
        nn.init.zeros_(to_shift.weight)
        nn.init.zeros_(to_shift.bias)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        super().init_weights()

    def _apply(self, fn, *args, **kwargs):
        # The table has five axes, and channels_last is for four.
        def on_maps(tensor):
            return fn(tensor.squeeze(0)).unsqueeze(0) if tensor.dim() == 5 else fn(tensor)

        return super()._apply(on_maps, *args, **kwargs)

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        (n, _, h, w), s = x.shape, self.scale_factor
        normed = self.layer_norm(x)
        query = F.interpolate(self.proj_q(normed), scale_factor=s, mode='bilinear',
                              align_corners=True)
        # Blocks of channels that share both their points and their weights.
        blocks = math.lcm(self.groups, self.heads)
        points = _repeat(self._points(query), self.groups, blocks)
        products = deform_query_key(query, self.proj_k(normed), points, blocks, s)
        products = products.unflatten(1, (self.heads, -1)).sum(dim=2).flatten(1, 2)
        logits = products + self._position_products(query).to(products.dtype)
        logits = logits * (query.shape[1] // self.heads)**-0.5  # (N, heads*K*K, s*h, s*w)
        attention = softmax(logits.unflatten(1, (self.heads, -1)), dim=2).flatten(1, 2)
        attention = _repeat(attention, self.heads, blocks)
        # Sizes of x: an exporter takes those behind unflatten() for constant.
        attention = attention.reshape(n, blocks, self.up_kernel**2, s * h, s * w)
        return deform_attend(attention, x, points, s)

    def _points(self, query: Tensor) -> Tensor:
        """Where keys and values are sampled, (N, G*K*K*2, s*h, s*w)."""
        n, embedding, fine_h, fine_w = query.shape
        queries = query.reshape(n * self.groups, embedding // self.groups, fine_h, fine_w)
        dtype = torch.promote_types(query.dtype, torch.float32)
        shift = self.conv_offset(queries).to(dtype).tanh() * self.range_factor
        shift = shift.reshape(n, self.groups * 2 * self.up_kernel**2, fine_h, fine_w)
        return aligned_points(shift, self.up_kernel, self.scale_factor)

    def _position_products(self, query: Tensor) -> Tensor:
        """Products of each query with the table's entry of each tap, (N, heads*K*K, s*h, s*w)."""
        table = self.relative_position_bias_table
        weight = table.reshape(self.heads * self.up_kernel**2, table.shape[-1], 1, 1)
        return F.conv2d(query, weight.to(query.dtype), groups=self.heads)


def _repeat(x: Tensor, count: int, blocks: int) -> Tensor:
    """Each of ``count`` groups of channels as often as ``blocks`` of them need it."""
    x = x.unflatten(1, (count, 1, -1))
    return x.expand(-1, -1, blocks // count, -1, -1, -1).flatten(1, 3)
