"""ReSFU: a refreshed similarity-based upsampler, for high ratios in one step.

Zhou, Wang, Zheng and Meng, "A Refreshed Similarity-based Upsampler for Direct High-Ratio Feature
Upsampling" (arXiv:2407.02283). Official code: zmhhmz/ReSFU (no licence for the upsampler); none was
read, only its forms, key names and initial values. State-dict keys are the authors': ``norm_x``,
``norm_y``, ``q``, ``k``, ``GF.kernel``, ``{semantic,detail}_scores.{norm,weight,bias}`` and
``{semantic,detail}_scores.channel_compressor.{1,3,4}``.

Deviations from the paper: none known. From the authors' code: at the bottom and right border, where
its backward pass gives the map no gradient, this one does; norms take fewer than 32 channels; the
500-fold learning rate of the scores in its configs is left to ``paramwise_cfg`` (Adam and AdamW
cancel a constant factor).
"""
import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import attend_neighbours, guided_filter, softmax
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_int
from .norm import GroupNorm

NORM_GROUPS, SCORE_GROUPS, HIDDEN, GROUPS = 32, 8, 128, 4
OUTSIDE = -1e7


class _GuidedFilter(nn.Module):
    """Keys with the edges of the queries."""

    radius, step = 4, 2

    def __init__(self, channels: int):
        super().__init__()
        # The authors' box filter, of ones: their checkpoints have it, and means need no weights.
        self.register_buffer('kernel', torch.empty(channels, 1, 1, 2 * self.radius + 1))

    def forward(self, key: Tensor, query: Tensor) -> Tensor:
        return guided_filter(key, query, self.radius, self.step).to(query.dtype)


class _PairedDifference(nn.Module):
    """Scores of nine neighbours from the differences of their keys to a pixel's query (PCDC)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = GroupNorm(SCORE_GROUPS, channels)
        self.weight = nn.Parameter(torch.empty(HIDDEN, channels // GROUPS, 3, 3))
        self.bias = nn.Parameter(torch.empty(1, HIDDEN, 1, 1))
        self.channel_compressor = nn.Sequential(
            nn.ReLU(), nn.Conv2d(HIDDEN, HIDDEN, 1, groups=GROUPS), nn.ReLU(),
            GroupNorm(SCORE_GROUPS, HIDDEN), nn.Conv2d(HIDDEN, 9, 1))

    def forward(self, key: Tensor, query: Tensor, distance: int) -> Tensor:
        """Keys and queries (N, D, H, W), neighbours ``distance`` fine pixels apart, to
        (N, 9, H, W)."""
        key = F.pad(self.norm(key), [distance] * 4, mode='replicate')
        keys = F.conv2d(key, self.weight, dilation=distance, groups=GROUPS)
        queries = F.conv2d(self.norm(query), self.weight.sum(dim=(2, 3), keepdim=True),
                           groups=GROUPS)
        return self.channel_compressor(keys - queries + self.bias)


@MODELS.register_module()
class ReSFU(BaseUpsampler):
    """Mixtures of 3x3 bilinear samples, one coarse pixel apart, by their similarity to the guide.

    Any size in one step: the samples lie around each pixel's own place, whatever the ratio. With
    equal weights the result is a smooth interpolation, and a constant map always stays constant. A
    graph of torch.export takes guides of 4 pixels a side and more.

    Args:
        in_channels: C.
        scale_factor: s, the ratio that is expected: neighbours are compared s fine pixels apart.
        guide_channels: Channels of the guide; may differ from C.
        embedding_dim: Channels of queries and keys, divisible by 8.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, ``embedding_dim`` is not divisible by 8, or
            there are more than 32 channels and not a multiple of 32.

    >>> up = ReSFU(64, scale_factor=4, guide_channels=24)
    >>> up(torch.rand(1, 64, 8, 8), torch.rand(1, 24, 31, 30)).shape
    torch.Size([1, 64, 31, 30])
    """

    guided = True
    any_size = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, embedding_dim: int = 32,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        embedding_dim = check_int('embedding_dim', embedding_dim)
        if embedding_dim % SCORE_GROUPS:
            raise ValueError(f'ReSFU needs embedding_dim divisible by {SCORE_GROUPS}, got '
                             f'{embedding_dim=}')
        for name in ('in_channels', 'guide_channels'):
            channels = getattr(self, name)
            if channels > NORM_GROUPS and channels % NORM_GROUPS:
                raise ValueError(f'ReSFU needs {name} divisible by {NORM_GROUPS} for its group '
                                 f'norms, or fewer, got {name}={channels}')
        self.norm_y = GroupNorm(min(NORM_GROUPS, self.guide_channels), self.guide_channels)
        self.norm_x = GroupNorm(min(NORM_GROUPS, self.in_channels), self.in_channels)
        self.q = nn.Conv2d(self.guide_channels, embedding_dim, 1)
        self.k = nn.Conv2d(self.in_channels, embedding_dim, 1)
        self.GF = _GuidedFilter(embedding_dim)
        self.semantic_scores = _PairedDifference(embedding_dim)
        self.detail_scores = _PairedDifference(embedding_dim)
        self.init_weights()

    def init_weights(self) -> None:
        """Starts with almost equal weights, a smooth interpolation."""
        nn.init.ones_(self.GF.kernel)
        for module in self.modules():
            if isinstance(module, GroupNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for scores in (self.semantic_scores, self.detail_scores):
            nn.init.kaiming_normal_(scores.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(scores.bias)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor],
                 size: Optional[tuple[int, int]] = None) -> Tensor:
        query, key = self.q(self.norm_y(guide)), self.k(self.norm_x(x))
        key = F.interpolate(key, size=guide.shape[-2:], mode='bilinear', align_corners=False)
        semantic = self.semantic_scores(key, self.GF(key, query), self.scale_factor)
        detail = self.detail_scores(_smoothed(query), query, self.scale_factor)
        scores = (semantic + detail).to(torch.promote_types(x.dtype, torch.float32))
        scores = torch.where(self._inside(guide), scores, OUTSIDE)
        return attend_neighbours(softmax(scores, dim=1), x)

    def _inside(self, guide: Tensor) -> Tensor:
        """Which neighbours of each pixel lie on the fine map, (9, H, W)."""
        moves = torch.arange(-1, 2, device=guide.device).unsqueeze(1) * self.scale_factor
        height, width = guide.shape[-2:]
        rows, columns = (torch.arange(n, device=guide.device) + moves for n in (height, width))
        rows, columns = ((places >= 0) & (places < n)
                         for places, n in ((rows, height), (columns, width)))
        return (rows[:, None, :, None] & columns[:, None]).flatten(0, 1)


def _smoothed(x: Tensor) -> Tensor:
    """A 3x3 Gaussian of standard deviation 1, the border repeated, rows and columns apart."""
    side = math.exp(-0.5)
    centre = 1 / (1 + 2 * side)
    side = side * centre
    x = F.pad(x, (1, 1, 1, 1), mode='replicate')
    x = centre * x[..., 1:-1, :] + side * (x[..., :-2, :] + x[..., 2:, :])
    return centre * x[..., 1:-1] + side * (x[..., :-2] + x[..., 2:])
