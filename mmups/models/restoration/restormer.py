"""Restormer, with upsamplers in its decoder.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration" (CVPR 2022,
arXiv:2111.09881). Arguments and state-dict keys are those of mmagic 1.2.0,
``mmagic/models/editors/restormer/restormer_net.py`` (Apache-2.0, OpenMMLab), which was read; held
to it by a parity test where it is installed.

Deviations: none known.
"""
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmups.models.layers import (
    Step,
    UpsamplingSlot,
    beside_guide,
    build_downsampler,
    register_slot,
)
from mmups.models.upsamplers.keys import rename_keys
from mmups.ops import is_recording, softmax

#: The steps of the decoder as the host calls them, finest first.
UPS = ('up2_1', 'up3_2', 'up4_3')
DOWNS = ('down1_2', 'down2_3', 'down3_4')


class _BiasFreeNorm(nn.Module):
    """Layer norm that leaves the mean where it is."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        variance = exact.var(-1, keepdim=True, unbiased=False)
        return (exact / torch.sqrt(variance + 1e-5) * self.weight).to(x.dtype)


NORMS = dict(WithBias=nn.LayerNorm, BiasFree=_BiasFreeNorm)


class _PixelNorm(nn.Module):
    """A norm over the channels of each pixel."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.body = NORMS[norm](channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _FeedForward(nn.Module):

    def __init__(self, channels: int, hidden: int, bias: bool):
        super().__init__()
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class _Attention(nn.Module):
    """Attention between the channels of each head, over all pixels."""

    def __init__(self, channels: int, num_heads: int, bias: bool):
        super().__init__()
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels,
                                    bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        qkv = self.qkv_dwconv(self.qkv(x))
        q, k, v = qkv.reshape(n, 3, self.num_heads, c // self.num_heads, h * w).unbind(1)
        q, k = (F.normalize(entry, dim=-1) for entry in (q, k))
        attention = softmax(q @ k.transpose(-2, -1) * self.temperature, dim=-1)
        return self.project_out((attention.to(v.dtype) @ v).reshape(n, c, h, w))


class _Block(nn.Module):

    def __init__(self, channels: int, num_heads: int, hidden: int, bias: bool, norm: str):
        super().__init__()
        self.norm1 = _PixelNorm(channels, norm)
        self.attn = _Attention(channels, num_heads, bias)
        self.norm2 = _PixelNorm(channels, norm)
        self.ffn = _FeedForward(channels, hidden, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class _Resample(nn.Module):
    """The host's step: a convolution, and pixels moved to channels or back."""

    def __init__(self, in_channels: int, out_channels: int, shuffle: nn.Module):
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(conv, shuffle)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@register_slot()
class Restormer(UpsamplingSlot, BaseModule):
    """Restormer, a UNet of transformers that attend between channels.

    Without ``upsampler`` it is the published network, with its keys. Any size is padded to a
    multiple of 8 by reflection, and cropped afterwards.

    Args:
        inp_channels: Channels of the image.
        out_channels: Channels of the result, as many unless ``dual_pixel_task``.
        dim: Width C at full resolution, which doubles with each of three levels.
        num_blocks: Blocks of the levels, finest first; encoder and decoder have as many.
        num_refinement_blocks: Blocks behind the decoder.
        heads: Heads of the levels.
        ffn_expansion_factor: Hidden channels of a feed-forward layer per channel.
        bias: Whether convolutions have biases; the first one and those of the steps never do.
        LayerNorm_type: 'WithBias' or 'BiasFree'.
        dual_pixel_task: True: two images come in a dict, with half of ``inp_channels`` each, and
            the result is not added to them.
        dual_keys: Their names.
        upsampler: The method of all steps, ``dict(type='DySample')``; ``upsample_modules[i]``
            takes level i + 1 to level i, 0 the finest. None: 3x3 convolutions and pixel shuffling.
        downsampler: ``dict(type='FLC')``; None: 3x3 convolutions and pixel unshuffling.

    Raises:
        ValueError: There are not four levels, the norm is unknown, or the result cannot be added
            to the image.
        ValueError, TypeError: As in :func:`build_upsampler` and :func:`build_downsampler`.

    >>> net = Restormer(dim=8, num_blocks=[1] * 4, num_refinement_blocks=1)
    >>> net(torch.rand(2, 3, 45, 30)).shape
    torch.Size([2, 3, 45, 30])
    """

    guide = "the encoder's map"

    def __init__(self, inp_channels: int = 3, out_channels: int = 3, dim: int = 48,
                 num_blocks: Sequence[int] = (4, 6, 6, 8), num_refinement_blocks: int = 4,
                 heads: Sequence[int] = (1, 2, 4, 8), ffn_expansion_factor: float = 2.66,
                 bias: bool = False, LayerNorm_type: str = 'WithBias',
                 dual_pixel_task: bool = False, dual_keys: Sequence[str] = ('imgL', 'imgR'),
                 upsampler: Optional[dict] = None, downsampler: Optional[dict] = None):
        if not len(num_blocks) == len(heads) == 4:
            raise ValueError(f'Restormer has four levels, got {num_blocks=}, {heads=}')
        if LayerNorm_type not in NORMS:
            raise ValueError(f'LayerNorm_type must be one of {sorted(NORMS)}, got '
                             f'{LayerNorm_type!r}')
        if inp_channels != out_channels and not dual_pixel_task:
            raise ValueError('the result is added to the image, which needs as many channels, got '
                             f'{inp_channels=}, {out_channels=}')
        *widths, deepest = self.widths = [dim * 2**level for level in range(4)]
        super().__init__(upsampler=upsampler)
        self.dual_pixel_task, self.dual_keys = dual_pixel_task, tuple(dual_keys)

        def blocks(channels: int, level: int, count: int) -> nn.Sequential:
            hidden = int(channels * ffn_expansion_factor)
            return nn.Sequential(*(_Block(channels, heads[level], hidden, bias, LayerNorm_type)
                                   for _ in range(count)))

        self.patch_embed = nn.Sequential(OrderedDict(
            proj=nn.Conv2d(inp_channels, dim, 3, padding=1, bias=False)))
        for level, c in enumerate(widths):
            self.add_module(f'encoder_level{level + 1}', blocks(c, level, num_blocks[level]))
            self.add_module(DOWNS[level], _Resample(c, c // 2, nn.PixelUnshuffle(2))
                            if downsampler is None else build_downsampler(downsampler, c))
        self.latent = blocks(deepest, 3, num_blocks[3])
        for level, c in reversed(list(enumerate(widths))):
            if not self.swapped:
                self.add_module(UPS[level], _Resample(2 * c, 4 * c, nn.PixelShuffle(2)))
            if level:
                self.add_module(f'reduce_chan_level{level + 1}', nn.Conv2d(2 * c, c, 1, bias=bias))
            self.add_module(f'decoder_level{level + 1}',
                            blocks(c if level else 2 * c, level, num_blocks[level]))
        self.refinement = blocks(2 * dim, 0, num_refinement_blocks)
        if dual_pixel_task:
            self.skip_conv = nn.Conv2d(dim, 2 * dim, 1, bias=bias)
        self.output = nn.Conv2d(2 * dim, out_channels, 3, padding=1, bias=bias)

    def host_steps(self) -> list[Step]:
        return [Step(2 * c, c, out_channels=c) for c in self.widths[:-1]]

    def forward(self, inp_img: Union[Tensor, Mapping[str, Tensor]]) -> Tensor:
        """Image (N, inp_channels, H, W), or a dict of two, to (N, out_channels, H, W).

        Raises:
            ValueError: A side is shorter than 5, which reflection cannot bring to 8.
        """
        if self.dual_pixel_task:
            inp_img = torch.cat([inp_img[key] for key in self.dual_keys], dim=1)
        height, width = inp_img.shape[-2:]
        if not is_recording() and min(height, width) < 5:
            raise ValueError(f'Restormer takes images of 5x5 and more, got {height}x{width}')
        inp_img = F.pad(inp_img, (0, -width % 8, 0, -height % 8), mode='reflect')
        x = shallow = self.patch_embed(inp_img)
        skips = []
        for level, down in enumerate(DOWNS, start=1):
            skips.append(getattr(self, f'encoder_level{level}')(x))
            x = getattr(self, down)(skips[-1])
        x = self.latent(x)
        for level in (3, 2, 1):
            x = self._beside(skips[level - 1], x, level)
            if level > 1:
                x = getattr(self, f'reduce_chan_level{level}')(x)
            x = getattr(self, f'decoder_level{level}')(x)
        x = self.refinement(x)
        if self.dual_pixel_task:
            x = self.output(x + self.skip_conv(shallow))
        else:
            x = self.output(x) + inp_img
        return x[..., :height, :width]

    def _beside(self, skip: Tensor, x: Tensor, level: int) -> Tensor:
        """The map below a level, brought to it, and the encoder's map."""
        if self.swapped:
            x, skip = beside_guide(x, skip, self.upsample_modules[level - 1])
        else:
            x = getattr(self, UPS[level - 1])(x)
        return torch.cat([x, skip], dim=1)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for level, _ in enumerate(self.upsample_modules):  # the authors of LCTC keep the names
            rename_keys(state_dict, f'{prefix}{UPS[level]}.', f'{prefix}upsample_modules.{level}.',
                        but=('body.0.weight', ))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
