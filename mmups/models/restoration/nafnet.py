"""NAFNet, with upsamplers in its decoder.

Chen et al., "Simple Baselines for Image Restoration" (ECCV 2022, arXiv:2204.04676); local pooling
of Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation" (ECCV
2022, arXiv:2112.04491). Arguments and state-dict keys are those of mmagic 1.2.0,
``mmagic/models/editors/nafnet`` (Apache-2.0, OpenMMLab; its NAFNet: MIT, megvii-model), which was
read; held to it by a parity test where it is installed.

Deviations: local pooling sums rows and columns one after the other, in float32 at least; there is
no ``fast_imp``, which computes something else.
"""
from collections.abc import Sequence
from functools import partial
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.layers import (
    Step,
    UpsamplingSlot,
    add_to_guide,
    build_downsampler,
    register_slot,
)
from mmups.models.upsamplers.keys import rename_keys


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


class NAFBlock(nn.Module):
    """Gated depthwise convolution with channel attention, and a gated pointwise layer."""

    def __init__(self, channels: int):
        super().__init__()
        conv, double = partial(nn.Conv2d, kernel_size=1), 2 * channels
        self.conv1 = conv(channels, double)
        self.conv2 = conv(double, double, kernel_size=3, padding=1, groups=double)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(channels, channels))
        self.conv3 = conv(channels, channels)
        self.conv4 = conv(channels, double)
        self.conv5 = conv(channels, channels)
        self.norm1, self.norm2 = LayerNorm2d(channels), LayerNorm2d(channels)
        self.beta, self.gamma = (nn.Parameter(torch.zeros(1, channels, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        y = _gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.conv3(y * self.sca(y)) * self.beta
        return x + self.conv5(_gate(self.conv4(self.norm2(x)))) * self.gamma


class LocalAvgPool2d(nn.Module):
    """Mean over a window around each pixel; at borders, that of the nearest whole window.

    Args:
        kernel_size: Height and width of the window. A map that is no larger has one mean.
    """

    def __init__(self, kernel_size: tuple[int, int]):
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to means (N, C, H, W) or (N, C, 1, 1)."""
        if all(k >= n for k, n in zip(self.kernel_size, x.shape[-2:])):
            return F.adaptive_avg_pool2d(x, 1)
        means = x.to(torch.promote_types(x.dtype, torch.float32))
        for dim, kernel in zip((-2, -1), self.kernel_size):
            means = _windowed_mean(means, min(kernel, x.shape[dim]), dim)
        down, right = (n - m for n, m in zip(x.shape[-2:], means.shape[-2:]))
        pads = right // 2, (right + 1) // 2, down // 2, (down + 1) // 2
        return F.pad(means, pads, mode='replicate').to(x.dtype)

    def extra_repr(self) -> str:
        return f'{self.kernel_size}'


def _windowed_mean(x: Tensor, kernel: int, dim: int) -> Tensor:
    """Means over all windows of ``kernel`` pixels along an axis."""
    sums = x.cumsum(dim)
    first = sums.narrow(dim, kernel - 1, 1)
    others = sums.narrow(dim, kernel, x.shape[dim] - kernel) - sums.narrow(
        dim, 0, x.shape[dim] - kernel)
    return torch.cat([first, others], dim) / kernel


@register_slot()
class NAFNet(UpsamplingSlot, BaseModule):
    """NAFNet, a UNet without activation functions.

    Without ``upsampler`` it is the published network, with its keys. Any size is padded with zeros
    to what the levels need, and cropped afterwards.

    Args:
        img_channels: Channels of the image.
        mid_channels: Width at full resolution, which doubles with each level.
        middle_blk_num: Blocks at the coarsest level.
        enc_blk_nums: Blocks of the encoder, finest level first.
        dec_blk_nums: Blocks of the decoder, coarsest level first.
        upsampler: The method of all steps, ``dict(type='DySample')``; ``upsample_modules[i]``
            takes level i + 1 to level i, 0 the finest. None: 1x1 convolutions and pixel shuffling.
        downsampler: ``dict(type='FLC')``; None: 2x2 convolutions of stride 2.

    Raises:
        ValueError: Encoder and decoder have different numbers of levels; there are none, and an
            upsampler is configured.
        ValueError, TypeError: As in :func:`build_upsampler` and :func:`build_downsampler`.

    >>> net = NAFNet(mid_channels=8, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])
    >>> net(torch.rand(2, 3, 45, 30)).shape
    torch.Size([2, 3, 45, 30])
    """

    decided_by = ('enc_blk_nums', )
    guide = "the encoder's map"

    def __init__(self, img_channels: int = 3, mid_channels: int = 64, middle_blk_num: int = 1,
                 enc_blk_nums: Sequence[int] = (1, 1, 1, 28),
                 dec_blk_nums: Sequence[int] = (1, 1, 1, 1), upsampler: Optional[dict] = None,
                 downsampler: Optional[dict] = None):
        if len(enc_blk_nums) != len(dec_blk_nums):
            raise ValueError('encoder and decoder need as many levels, got '
                             f'{enc_blk_nums=}, {dec_blk_nums=}')
        self.enc_blk_nums = tuple(enc_blk_nums)
        *widths, deepest = self.widths = [mid_channels * 2**i for i in range(len(enc_blk_nums) + 1)]
        super().__init__(upsampler=upsampler)
        conv = partial(nn.Conv2d, kernel_size=3, padding=1)
        self.intro, self.ending = conv(img_channels, widths[0]), conv(widths[0], img_channels)
        self.encoders = nn.ModuleList(map(_blocks, widths, enc_blk_nums))
        self.decoders = nn.ModuleList(map(_blocks, widths[::-1], dec_blk_nums))
        self.middle_blks = _blocks(deepest, middle_blk_num)
        if not self.swapped:
            self.ups = nn.ModuleList(
                nn.Sequential(nn.Conv2d(2 * c, 4 * c, 1, bias=False), nn.PixelShuffle(2))
                for c in widths[::-1])
        self.downs = nn.ModuleList(
            nn.Conv2d(c, 2 * c, 2, 2) if downsampler is None else build_downsampler(downsampler, c)
            for c in widths)

    def host_steps(self) -> list[Step]:
        return [Step(2 * c, c, out_channels=c) for c in self.widths[:-1]]

    def forward(self, inp: Tensor) -> Tensor:
        """Image (N, img_channels, H, W) to the restored image of the same shape."""
        height, width = inp.shape[-2:]
        multiple = 2**len(self.encoders)
        inp = F.pad(inp, (0, -width % multiple, 0, -height % multiple))
        x, skips = self.intro(inp), []
        for encoder, down in zip(self.encoders, self.downs):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.middle_blks(x)
        for level, decoder in zip(reversed(range(len(skips))), self.decoders):
            x = decoder(self._onto(skips[level], x, level))
        return (self.ending(x) + inp)[..., :height, :width]

    def _onto(self, skip: Tensor, x: Tensor, level: int) -> Tensor:
        """The sum of the encoder's map of a level, and of the map below it."""
        if not self.swapped:
            return self.ups[len(self.ups) - 1 - level](x) + skip
        upsample = self.upsample_modules[level]
        return add_to_guide(skip, upsample(x, skip, skip.shape[-2:]), upsample)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for level, _ in enumerate(self.upsample_modules):  # the authors of LCTC keep the names
            rename_keys(state_dict, f'{prefix}ups.{len(self.upsample_modules) - 1 - level}.',
                        f'{prefix}upsample_modules.{level}.', but=('0.weight', ))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(count)))


@register_slot()
class NAFNetLocal(NAFNet):
    """NAFNet whose channel attention has means over windows, as large as a half more than the
    patches of the training, where an image is larger than that.

    Weights are those of :class:`NAFNet`; on patches of the training size it is the same function.

    Args:
        args, kwargs: As in :class:`NAFNet`.
        train_size: (N, C, H, W) of the batches in training, of which H and W count.

    >>> net = NAFNetLocal(mid_channels=8, enc_blk_nums=[1], dec_blk_nums=[1])
    >>> net.encoders[0][0].sca[0]
    LocalAvgPool2d((384, 384))
    """

    def __init__(self, *args: Any, train_size: Sequence[int] = (1, 3, 256, 256), **kwargs: Any):
        super().__init__(*args, **kwargs)
        for level, blocks in enumerate([*self.encoders, self.middle_blks]):
            decoder = self.decoders[-1 - level] if level < len(self.decoders) else ()
            for block in (*blocks, *decoder):
                block.sca[0] = LocalAvgPool2d(self._window(level, train_size))

    def _window(self, level: int, train_size: Sequence[int]) -> tuple[int, int]:
        """1.5 times a map of the training at this level, in mmagic's rounding."""
        multiple = 2**len(self.encoders)
        return tuple((size + -size % multiple) // 2**level * int(1.5 * size) // size
                     for size in train_size[-2:])
