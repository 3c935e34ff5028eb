"""FreqFusion: frequency-aware fusion of a coarse and a fine map.

Chen, Fu, Gu, Yan, Harada and Huang, "Frequency-aware Feature Fusion for Dense Image Prediction"
(TPAMI 46(12), 2024, arXiv:2408.12879). The official code (Linwei-Chen/FreqFusion) has no licence:
none was read here, it is written from a description of its arithmetic. State-dict keys are the
authors': ``hr_channel_compressor``, ``lr_channel_compressor``, ``content_encoder``,
``content_encoder2``, ``hamming_lowpass``, ``hamming_highpass``, ``dysampler.*``.

Deviations from the paper: none known. From the authors' code: maps of any size, of which theirs
takes exact x2 only; softmax, similarities and sampling points in float32 at least; other integer
factors, by the same formulas.
"""
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmups.ops import (
    bilinear_positions,
    neighbour_similarity,
    pixel_shuffle,
    pixel_unshuffle,
    reassemble,
    sample_dynamic,
    softmax,
)
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int
from .norm import GroupNorm

LOW, HIGH = 5, 3  # sizes of the low-pass and of the high-pass kernels
NEIGHBOURS, DISTANCE = 8, 2  # whose similarity guides the points, and how many pixels away they are
PER_NORM = 8  # channels that a group norm takes together


class _Points(nn.Module):
    """Moves the pixels of an upsampled map to points like themselves (the paper's LSG).

    Args:
        channels: M, of the compressed maps.
        groups: G, of the map's channels, with points of their own.
        similarity: As in :class:`FreqFusion`.
        norm: As in :class:`FreqFusion`.
        scale_factor: s.
    """

    def __init__(self, channels: int, groups: int, similarity: str, norm: bool, scale_factor: int):
        super().__init__()
        self.groups = groups
        self.scale_factor = scale_factor
        self.similarity = similarity
        coarse, fine = 2 * groups * scale_factor**2, 2 * groups
        both = channels + NEIGHBOURS
        moved, scaled = (both, both) if similarity == 'concat' else (NEIGHBOURS, channels)
        self.offset = nn.Conv2d(moved, coarse, 3, padding=1)
        self.direct_scale = nn.Conv2d(scaled, coarse, 3, padding=1)
        self.hr_offset = nn.Conv2d(moved, fine, 3, padding=1)
        self.hr_direct_scale = nn.Conv2d(scaled, fine, 3, padding=1)
        self.norm_hr, self.norm_lr = (
            GroupNorm(channels // PER_NORM, channels) if norm else nn.Identity()
            for _ in range(2))
        # For the authors' checkpoints. From the centres of coarse pixels it leads to those of fine
        # pixels; the map that is sampled has fine pixels already.
        self.register_buffer('init_pos', torch.empty(1, coarse, 1, 1))

    def forward(self, x: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """x (N, C, s*h, s*w) with fine (N, M, s*h, s*w) and coarse (N, M, h, w) to x's shape."""
        moves, scales = self._encode(self.norm_lr(coarse), self.offset, self.direct_scale)
        fine_moves, fine_scales = self._encode(self.norm_hr(fine), self.hr_offset,
                                               self.hr_direct_scale)
        s = self.scale_factor
        moves = pixel_shuffle(moves, s) + fine_moves
        scales = pixel_shuffle(scales, s) + fine_scales
        # In coarse pixels, of which each is s fine ones.
        return sample_dynamic(x, s * moves * scales.sigmoid(), 1, self.groups)

    def _encode(self, x: Tensor, offset: nn.Conv2d, scale: nn.Conv2d) -> tuple[Tensor, Tensor]:
        similar = neighbour_similarity(x, DISTANCE).to(x.dtype)
        if self.similarity == 'concat':
            similar = x = torch.cat((x, similar), dim=1)
        dtype = torch.promote_types(x.dtype, torch.float32)
        return offset(similar).to(dtype), scale(x).to(dtype)


@MODELS.register_module()
class FreqFusion(BaseUpsampler):
    """Low-pass kernels upsample the map, high-pass kernels sharpen the guide, points are moved.

    The output is the sum of both, as an FPN makes it, where they have as many channels; otherwise,
    and in :meth:`fuse`, the upsampled map is by itself. Kernels are zero outside the map and not
    renormalised there, as in the authors' code: a constant map comes out smaller at its border,
    a sharpened guide larger.

    Args:
        in_channels: C.
        scale_factor: s; 2 in the paper.
        guide_channels: Channels of the guide.
        compressed_channels: M, on which kernels and points are computed; divisible by 8 with
            ``norm``.
        groups: G; each group of C/G channels has its own points.
        similarity: What the offsets of the points are computed from: 'concat', compressed maps
            and the similarities of neighbouring pixels; 'only', the similarities (the authors'
            code for SegNeXt).
        norm: GroupNorm of the compressed maps before it.
        hamming: Kernels are multiplied by a Hamming window.
        offset_init: How the layers of the points start: 'xavier', as in all of the authors'
            trainings, where an initialisation of the whole module comes last; 'small', as their
            sampler says: offsets N(0, 0.001^2), the scales at their middle.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: Unknown ``similarity`` or ``offset_init``; a number is not a positive integer;
            C is not divisible by ``groups``, or ``compressed_channels`` by 8 with ``norm``.

    >>> up = FreqFusion(64, guide_channels=64)
    >>> up(torch.rand(1, 64, 8, 8), torch.rand(1, 64, 15, 16)).shape
    torch.Size([1, 64, 15, 16])
    """

    guided = True
    enhances_guide = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, compressed_channels: int = 64,
                 groups: int = 4, similarity: str = 'concat', norm: bool = True,
                 hamming: bool = True, offset_init: str = 'xavier',
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        channels = check_int('compressed_channels', compressed_channels)
        if similarity not in ('concat', 'only'):
            raise ValueError(f"similarity must be 'concat' or 'only', got {similarity=}")
        if offset_init not in ('xavier', 'small'):
            raise ValueError(f"offset_init must be 'xavier' or 'small', got {offset_init=}")
        if norm and channels % PER_NORM:
            raise ValueError(f'norm=True needs compressed_channels divisible by {PER_NORM}, got '
                             f'compressed_channels={channels}; set norm=False')
        self.offset_init = offset_init
        self.hamming = hamming
        self.hr_channel_compressor = nn.Conv2d(self.guide_channels, channels, 1)
        self.lr_channel_compressor = nn.Conv2d(self.in_channels, channels, 1)
        self.content_encoder = nn.Conv2d(channels, LOW**2, 3, padding=1)
        self.content_encoder2 = nn.Conv2d(channels, HIGH**2, 3, padding=1)
        for name, size in (('hamming_lowpass', LOW), ('hamming_highpass', HIGH)):
            shape = (1, 1, size, size) if hamming else (1, )
            self.register_buffer(name, torch.empty(shape))
        self.dysampler = _Points(channels, check_groups(self, 'groups', groups), similarity, norm,
                                 self.scale_factor)
        self.init_weights()

    @property
    def includes_guide(self) -> bool:
        """With as many channels in both, the output is their sum."""
        return self.in_channels == self.guide_channels

    def init_weights(self) -> None:
        """Kernels start close to the plain window; points as ``offset_init`` says."""
        points = self.dysampler
        for module in self.modules():
            if isinstance(module, GroupNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        small = [self.content_encoder, self.content_encoder2]
        if self.offset_init == 'small':
            small += [points.offset, points.hr_offset]
            nn.init.zeros_(points.direct_scale.weight)
            nn.init.zeros_(points.hr_direct_scale.weight)
        for layer in small:
            nn.init.normal_(layer.weight, std=0.001)
        for window in (self.hamming_lowpass, self.hamming_highpass):
            row = torch.hamming_window(window.shape[-1], periodic=False, dtype=torch.float64,
                                       device='cpu')
            window.copy_(torch.outer(row, row) if self.hamming else torch.ones(1, device='cpu'))
        points.init_pos.copy_(bilinear_positions(self.scale_factor, points.groups))
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        out, enhanced = self.upsample_and_enhance(x, guide)
        return enhanced + out if self.includes_guide else out

    def upsample_and_enhance(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        s = self.scale_factor
        fine, coarse = self.hr_channel_compressor(guide), self.lr_channel_compressor(x)
        high = self.content_encoder2(fine)
        fine = self._sharpened(fine, high)
        low = self.content_encoder(fine)
        # The coarse map's own logits come to the fine size by the kernels of the guide's alone.
        kernels = self._low_pass(low)
        low = low + reassemble(self.content_encoder(coarse), kernels, LOW, scale_factor=s)
        kernels = self._low_pass(low)
        high = high + reassemble(self.content_encoder2(coarse), kernels, LOW, scale_factor=s)
        out = reassemble(x, kernels, LOW, scale_factor=s)
        return self.dysampler(out, fine, coarse), self._sharpened(guide, high)

    def _low_pass(self, logits: Tensor) -> Tensor:
        return pixel_unshuffle(_kernels(logits, self.hamming_lowpass), self.scale_factor)

    def _sharpened(self, x: Tensor, logits: Tensor) -> Tensor:
        """``x`` and what a low-pass filter takes from it, once more."""
        low = reassemble(x, _kernels(logits, self.hamming_highpass), HIGH, scale_factor=1)
        return torch.lerp(low, x, 2)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, groups={self.dysampler.groups}'


def _kernels(logits: Tensor, window: Tensor) -> Tensor:
    """Softmax over the taps, times the window, normalised again: (N, K*K, H, W), float32."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return softmax(logits.to(dtype) + window.to(dtype).log().reshape(-1, 1, 1), dim=1)
