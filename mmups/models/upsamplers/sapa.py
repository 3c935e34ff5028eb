"""SAPA: similarity-aware point affiliation.

Lu, Liu, Ye, Fu, Liu and Cao, "SAPA: Similarity-Aware Point Affiliation for Feature Upsampling"
(NeurIPS 2022, arXiv:2209.12866), and its deformable form ("On Point Affiliation in Feature
Upsampling", arXiv:2307.08198). Official code consulted for key names and initial values:
poppinace/sapa (MIT; "academic only" in its README), tiny-smart/sapa (no licence); nothing is
copied. State-dict keys are the authors': ``norm_y``, ``norm_x``, ``q``, ``k``; gated ``qy``,
``qx``, ``gate``; deformable ``offset``.

Deviations: GroupNorm(32) as in the authors' detection and segmentation code (their NeurIPS code
has LayerNorm, of the same shapes but not the same numbers); 'inner' applies no norm.
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import (
    deform_attend,
    deform_query_key,
    pixel_shuffle,
    query_key,
    reassemble,
    softmax,
    window_softmax,
    windows_of,
)
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int
from .norm import GroupNorm

GROUPS = 32


class _Similarity(BaseUpsampler):
    """Norms and initial values of the SAPA family."""

    guided = True

    def _make_norms(self, norm: bool) -> None:
        if norm and (self.in_channels % GROUPS or self.guide_channels % GROUPS):
            raise ValueError(
                f'{type(self).__name__} with norm=True needs channels divisible by {GROUPS}, got '
                f'in_channels={self.in_channels}, guide_channels={self.guide_channels}; '
                'set norm=False')
        self.norm_y = GroupNorm(GROUPS, self.guide_channels) if norm else nn.Identity()
        self.norm_x = GroupNorm(GROUPS, self.in_channels) if norm else nn.Identity()

    def init_weights(self) -> None:
        """Projections N(0, 0.02^2), biases zero, norms the identity."""
        for module in self.modules():
            if isinstance(module, GroupNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        super().init_weights()


@MODELS.register_module()
class SAPA(_Similarity):
    """Reassembly weighted by the similarity of a fine point with the coarse points around it.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Channels of the guide; C in the variant 'inner'.
        variant: 'inner', plain inner products, no parameters; 'base', of embeddings; 'gated',
            whose queries mix fine and coarse map by a learned gate.
        embedding_dim: Channels of queries and keys.
        up_kernel: Odd window size K.
        qkv_bias: Biases in the projections.
        norm: GroupNorm(32) before the projections.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: Unknown ``variant``, a number that is no positive integer, even ``up_kernel``,
            channels not divisible by 32 with ``norm``, or 'inner' with unequal channels.

    >>> SAPA(64, guide_channels=32)(torch.rand(1, 64, 8, 8), torch.rand(1, 32, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, variant: str = 'base',
                 embedding_dim: int = 32, up_kernel: int = 5, qkv_bias: bool = True,
                 norm: bool = True, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if variant not in ('inner', 'base', 'gated'):
            raise ValueError(f"variant must be 'inner', 'base' or 'gated', got {variant=}")
        coarse, fine = self.in_channels, self.guide_channels
        if variant == 'inner' and coarse != fine:
            raise ValueError(
                "variant='inner' compares the guide with the map directly and needs as many "
                f'channels in both, got in_channels={coarse}, guide_channels={fine}; '
                "variant='base' takes any guide")
        self.variant = variant
        self.up_kernel = check_int('up_kernel', up_kernel, odd=True)
        embedding_dim = check_int('embedding_dim', embedding_dim)
        if variant != 'inner':
            self._make_norms(norm)
            self.k = nn.Conv2d(coarse, embedding_dim, 1, bias=qkv_bias)
        if variant == 'base':
            self.q = nn.Conv2d(fine, embedding_dim, 1, bias=qkv_bias)
        elif variant == 'gated':
            self.qy = nn.Conv2d(fine, embedding_dim, 1, bias=qkv_bias)
            self.qx = nn.Conv2d(coarse, embedding_dim, 1, bias=qkv_bias)
            self.gate = nn.Conv2d(coarse, 1, 1, bias=qkv_bias)
        self.init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return reassemble(x, self._weights(x, guide), self.up_kernel,
                          scale_factor=self.scale_factor)

    def _weights(self, x: Tensor, guide: Tensor) -> Tensor:
        query, key = self._embed(x, guide)
        logits = query_key(query, key, self.up_kernel, self.scale_factor)
        return window_softmax(logits, self.up_kernel**2, self.scale_factor)

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Tensor:
        weights = self._weights(x, self._exact_guide(x, guide))
        return windows_of(weights, self.up_kernel, self.scale_factor)

    def _embed(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (N, D, s*h, s*w) and keys (N, D, h, w)."""
        if self.variant == 'inner':
            return guide, x
        normed = self.norm_x(x)
        key = self.k(normed)
        if self.variant == 'base':
            return self.q(self.norm_y(guide)), key
        coarse = torch.cat((self.gate(normed).sigmoid(), self.qx(x)), dim=1)
        coarse = F.interpolate(coarse, scale_factor=self.scale_factor)
        gate, query_x = coarse[:, :1], coarse[:, 1:]
        return torch.lerp(query_x, self.qy(self.norm_y(guide)), gate), key


@MODELS.register_module()
class SAPADeform(_Similarity):
    """Sums over learned points, weighted by the similarity of the fine point with each of them.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Channels of the guide.
        num_points: Points P per fine pixel and group.
        groups: Groups of channels with points of their own; divides C.
        embedding_dim: Channels of queries and keys in each group.
        high_offset: Offsets of their own for each fine pixel, not one set per coarse pixel.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, or ``groups`` does not divide C.

    >>> SAPADeform(64, guide_channels=24)(torch.rand(1, 64, 8, 8), torch.rand(1, 24, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, num_points: int = 9, groups: int = 4,
                 embedding_dim: int = 32, high_offset: bool = True,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.groups = check_groups(self, 'groups', groups)
        self.high_offset = high_offset
        embeddings = self.groups * check_int('embedding_dim', embedding_dim)
        self.q = nn.Conv2d(self.guide_channels, embeddings, 1)
        self.k = nn.Conv2d(self.in_channels, embeddings, 1)
        offsets = self.groups * check_int('num_points', num_points) * 2
        if high_offset:
            offsets *= self.scale_factor**2
        self.offset = nn.Conv2d(self.in_channels, offsets, 1)
        self.init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        dtype = torch.promote_types(x.dtype, torch.float32)
        offset = self.offset(x).to(dtype)
        if self.high_offset:
            offset = pixel_shuffle(offset, self.scale_factor)
        else:
            offset = F.interpolate(offset, scale_factor=self.scale_factor)
        logits = deform_query_key(self.q(guide), self.k(x), offset, self.groups, self.scale_factor)
        return deform_attend(softmax(logits, dim=2), x, offset, self.scale_factor)
