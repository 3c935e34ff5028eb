"""NAF: neighbourhood attention, guided by the image, over maps of a frozen foundation model.

Chambon, Couairon et al., "NAF: Zero-Shot Feature Upsampling via Neighborhood Attention Filtering"
(CVPR 2026, arXiv:2511.18452). The official code (valeoai/NAF, Apache-2.0 but for its rotary
embedding) was not read here: it is written from a description of its arithmetic. State-dict keys
are the authors': ``image_encoder.encoder.*``, ``image_encoder.sem_encoder.*``,
``image_encoder.rope.periods``; what they publish is the state dict of this module.

Deviations from the authors' code: plain PyTorch in the place of NATTEN, with a smaller window on
maps below 9x9, where theirs fails; an image of more than four times the output is shrunk to four
times it in height and in width, where theirs takes the smaller of both for either; the random
factor on coordinates, which belongs to their training on images, is left out.
"""
import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import clamped_attention, is_recording
from mmups.registry import MODELS

from .base import BaseUpsampler
from .norm import GroupNorm

HEADS, HEAD_CHANNELS, WINDOW = 4, 64, 9
BRANCH_CHANNELS = HEADS * HEAD_CHANNELS // 2
FINEST = 4  # pixels of the image per pixel of the output that the encoders look at
BASE = 100  # of the periods of the rotary embedding


class _Mirrored(nn.Conv2d):
    """Convolution with a mirrored border, on maps of a single row or column as well."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        for axis, n in ((-2, x.shape[-2]), (-1, x.shape[-1])):
            border = (0, 0, 1, 1) if axis == -2 else (1, 1, 0, 0)
            x = F.pad(x, border, mode='reflect' if is_recording() or n > 1 else 'replicate')
        return F.conv2d(x, weight, bias)


class _Block(nn.Module):

    def __init__(self, kernel_size: int):
        super().__init__()
        self.norm1, self.norm2 = (GroupNorm(8, BRANCH_CHANNELS) for _ in range(2))
        self.conv1, self.conv2 = (_conv(BRANCH_CHANNELS, kernel_size) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(x)))


def _conv(in_channels: int, kernel_size: int) -> nn.Conv2d:
    layer = nn.Conv2d if kernel_size == 1 else _Mirrored
    return layer(in_channels, BRANCH_CHANNELS, kernel_size)


def _branch(in_channels: int, kernel_size: int) -> nn.Sequential:
    return nn.Sequential(_conv(in_channels, kernel_size), _Block(kernel_size), _Block(kernel_size))


class _Rotation(nn.Module):
    """Rotary position embedding of both axes: pairs of channels turn with the place in the map."""

    def __init__(self):
        super().__init__()
        self.register_buffer('periods', torch.empty(HEAD_CHANNELS // 4))

    def forward(self, x: Tensor) -> Tensor:
        """(N, HEADS * HEAD_CHANNELS, H, W), float32 at least, to the same shape."""
        n, c, height, width = x.shape
        angles = []
        for size in (height, width):
            centres = torch.arange(size, device=x.device, dtype=x.dtype) + 0.5
            place = 2 * centres / size - 1
            angles.append(2 * math.pi * place / self.periods.to(x.dtype).unsqueeze(1))
        rows, columns = angles  # (HEAD_CHANNELS / 4, H) and (..., W)
        angle = torch.cat((rows.unsqueeze(2).expand(-1, -1, width),
                           columns.unsqueeze(1).expand(-1, height, -1)))
        first, second = x.reshape(n, HEADS, 2, c // (2 * HEADS), height, width).unbind(2)
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=2)
        return turned.reshape(n, c, height, width)


class _ImageEncoder(nn.Module):

    def __init__(self, guide_channels: int):
        super().__init__()
        self.encoder = _branch(guide_channels, 1)
        self.sem_encoder = _branch(guide_channels, 3)
        self.rope = _Rotation()

    def forward(self, image: Tensor, ratio: int) -> Tensor:
        """(N, guide_channels, r*H, r*W) to queries (N, HEADS * HEAD_CHANNELS, H, W)."""
        x = torch.cat((self.encoder(image), self.sem_encoder(image)), dim=1)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return self.rope(F.avg_pool2d(x, ratio) if ratio > 1 else x)


@MODELS.register_module()
class NAF(BaseUpsampler):
    """Attention of each fine pixel to the coarse ones around it, by what the image shows there.

    The weights come from the image alone, so that one set of them, trained once, serves maps of
    any number of channels; the output is a mixture of coarse values. A constant map stays
    constant.

    Args:
        in_channels: C, divisible by 4.
        scale_factor: s.
        guide_channels: Channels of the image, 3 in the authors' weights.
        frozen: True: no parameter learns, as the method is meant to be used, with
            ``init_cfg=dict(type='Pretrained', checkpoint=...)`` for the authors' weights.
        init_cfg: Applied after PyTorch's initialisation.

    Raises:
        ValueError: A number is not a positive integer, or C is not divisible by 4.

    >>> NAF(64, 4, 3)(torch.rand(1, 64, 4, 4), torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 64, 16, 16])
    """

    guided = True
    image_guided = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, frozen: bool = True,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if self.in_channels % HEADS:
            raise ValueError(f'NAF needs in_channels divisible by {HEADS}, its number of heads, '
                             f'got in_channels={self.in_channels}')
        self.image_encoder = _ImageEncoder(self.guide_channels)
        self.init_weights()
        self.requires_grad_(not frozen)

    def init_weights(self) -> None:
        """PyTorch's defaults, which say nothing of an image: load weights, or train them."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, GroupNorm)):
                module.reset_parameters()
        periods = self.image_encoder.rope.periods
        exponents = torch.arange(len(periods), device='cpu') / len(periods)
        periods.copy_(BASE**exponents)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        s, ratio = self.scale_factor, self._guide_ratio(x, guide)
        if ratio > FINEST:
            ratio = FINEST
            size = tuple(FINEST * s * n for n in x.shape[-2:])
            guide = F.interpolate(guide, size, mode='bilinear', align_corners=False)
        query = self.image_encoder(guide, ratio)
        key = F.avg_pool2d(query, s) if s > 1 else query
        return clamped_attention(query, key, x, WINDOW, HEADS, s)
