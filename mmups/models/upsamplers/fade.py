"""FADE: fusing the assets of decoder and encoder for task-agnostic upsampling.

Lu, Liu, Fu and Cao (ECCV 2022, arXiv:2207.10392; FADE-Lite: arXiv:2407.13500). Official code
consulted for key names and initial values: poppinace/fade (MIT; "academic purposes only" in its
README), of which nothing is copied. State-dict keys are the authors':
``ker_generator.{compressor_en,compressor_de,content_encoder}``, ``gate_generator.conv``.

Deviations: none known. The semi-shift convolution is computed from low to high resolution, which
equals the paper's four shifted stride-2 convolutions.
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import pixel_unshuffle, reassemble, softmax
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_int


class _KernelGenerator(nn.Module):
    """Logits of the windows' weights from the fine and the coarse map."""

    def __init__(self, in_channels: int, guide_channels: int, channels: int,
                 content_encoder: nn.Conv2d):
        super().__init__()
        self.compressor_en = nn.Conv2d(guide_channels, channels, 1)
        self.compressor_de = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.content_encoder = content_encoder

    def forward(self, x: Tensor, guide: Tensor, scale_factor: int) -> Tensor:
        coarse = self.content_encoder(self.compressor_de(x))
        fine = self.content_encoder(self.compressor_en(guide))
        return fine + F.interpolate(coarse, scale_factor=scale_factor)


class _GateGenerator(nn.Module):

    def __init__(self, in_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Tensor, scale_factor: int) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=scale_factor).sigmoid()


class _SemiShift(BaseUpsampler):
    """What FADE and FADE-Lite share; subclasses bring their kernel generator."""

    guided = True

    def __init__(self, in_channels: int, scale_factor: int, guide_channels: Optional[int],
                 gating: bool, up_kernel: int, init_cfg: Union[dict, list, None]):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.up_kernel = check_int('up_kernel', up_kernel, odd=True)
        if gating and self.in_channels != self.guide_channels:
            raise ValueError(
                'gating=True mixes the guide into the output and needs as many channels in both, '
                f'got in_channels={self.in_channels}, guide_channels={self.guide_channels}; '
                'set gating=False')
        self.gate_generator = _GateGenerator(self.in_channels) if gating else None

    @property
    def includes_guide(self) -> bool:
        """Gated, the output is a mixture of the guide and the upsampled map."""
        return self.gate_generator is not None

    def init_weights(self) -> None:
        """Xavier uniform, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        kernels = softmax(self.ker_generator(x, guide, self.scale_factor), dim=1)
        out = reassemble(x, pixel_unshuffle(kernels, self.scale_factor), self.up_kernel,
                         scale_factor=self.scale_factor)
        if self.gate_generator is None:
            return out
        return torch.lerp(out, guide.to(out.dtype),
                          self.gate_generator(x, self.scale_factor).to(out.dtype))


@MODELS.register_module()
class FADE(_SemiShift):
    """Reassembly with weights from a convolution over the fine and the coarse map at once.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Channels of the guide; may differ from C without ``gating``.
        gating: True: the output is g * guide + (1 - g) * upsampled with a learned gate g. Such
            an output holds the guide already; an FPN does not add its lateral map again.
        up_kernel: Odd window size K.
        compressed_channels: Channels that the kernel generator works on.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, ``up_kernel`` is even, or ``gating`` with
            unequal channels.

    >>> FADE(64, guide_channels=24)(torch.rand(1, 64, 8, 8), torch.rand(1, 24, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, gating: bool = False, up_kernel: int = 5,
                 compressed_channels: int = 64, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, gating, up_kernel, init_cfg)
        channels = check_int('compressed_channels', compressed_channels)
        self.ker_generator = _KernelGenerator(
            self.in_channels, self.guide_channels, channels,
            nn.Conv2d(channels, self.up_kernel**2, 3, padding=1))
        self.init_weights()


@MODELS.register_module()
class FADELite(_SemiShift):
    """FADE whose compressors go to K*K channels at once, and whose encoder is depthwise.

    Args:
        in_channels, scale_factor, guide_channels, gating, up_kernel, init_cfg: As in FADE.

    Raises:
        ValueError: As in FADE.

    >>> FADELite(64, guide_channels=24)(torch.rand(1, 64, 8, 8), torch.rand(1, 24, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, gating: bool = False, up_kernel: int = 5,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, gating, up_kernel, init_cfg)
        taps = self.up_kernel**2
        self.ker_generator = _KernelGenerator(
            self.in_channels, self.guide_channels, taps,
            nn.Conv2d(taps, taps, 3, padding=1, groups=taps))
        self.init_weights()
