"""A2U: affinity-aware upsampling.

Dai, Lu and Shen, "Learning Affinity-Aware Upsampling for Deep Image Matting" (CVPR 2021,
arXiv:2011.14288), as the DySample authors plug it in: channel-shared kernels of rank 1 ("cs-d").
Official code consulted for key names: dongdong93/a2u_matting (MIT). State-dict keys are the
authors': ``kernel_gen.{bnu,bnv}.0``, ``kernel_gen.bconv_{UP,U,V}.1``.

Deviations: the unused downsampling branch ``bconv_DP`` is not built (a checkpoint's is skipped).
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import is_recording, reassemble, window_softmax
from mmups.registry import MODELS

from .base import BaseUpsampler
from .norm import GroupNorm

UP_KERNEL = 3
ENCODE_KERNEL = 6
GROUPS = 32


class _CellPool(nn.Module):
    """Adaptive average pooling to ENCODE_KERNEL x ENCODE_KERNEL cells, as two matrix products.

    ONNX has no adaptive pooling of maps whose size is open.
    """

    def forward(self, x: Tensor) -> Tensor:
        dtype = torch.promote_types(x.dtype, torch.float32)
        rows, columns = (self._means(n, x.device, dtype) for n in x.shape[-2:])
        return (rows @ x.to(dtype) @ columns.t()).to(x.dtype)

    @staticmethod
    def _means(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Row i averages the positions from floor(i n/k) to ceil((i+1) n/k), (k, n)."""
        cells = torch.arange(ENCODE_KERNEL, device=device).unsqueeze(1)
        positions = torch.arange(length, device=device)
        start = torch.div(cells * length, ENCODE_KERNEL, rounding_mode='floor')
        end = torch.div((cells + 1) * length + ENCODE_KERNEL - 1, ENCODE_KERNEL,
                        rounding_mode='floor')
        inside = ((positions >= start) & (positions < end)).to(dtype)
        return inside / inside.sum(dim=1, keepdim=True)


class _KernelGenerator(nn.Module):
    """Weights of 3x3 windows from a second-order affinity of the guide."""

    def __init__(self, channels: int):
        super().__init__()
        self.bnu = nn.Sequential(GroupNorm(GROUPS, channels), nn.LeakyReLU(0.01))
        self.bnv = nn.Sequential(GroupNorm(GROUPS, channels), nn.LeakyReLU(0.01))
        self.bconv_UP = nn.Sequential(nn.AdaptiveAvgPool2d(1),
                                      nn.Conv2d(channels, 4 * UP_KERNEL**2, 1))
        self.bconv_U = nn.Sequential(_CellPool(), nn.Conv2d(channels, 1, 1))
        self.bconv_V = nn.Sequential(_CellPool(), nn.Conv2d(channels, 1, 1))

    def forward(self, guide: Tensor) -> Tensor:
        pool, to_kernel = self.bconv_U
        cells = pool(guide)  # bconv_V has the same pooling
        a, b = self._encode(guide, to_kernel(cells), self.bconv_V[1](cells))
        dtype = torch.promote_types(guide.dtype, torch.float32)
        affinity = (self.bnu(a).to(dtype) * self.bnv(b).to(dtype)).sum(dim=1, keepdim=True)
        affinity = affinity / guide.shape[1]**0.5  # (N, 1, h, w)
        logits = self.bconv_UP(guide).to(dtype) * affinity  # (N, 9*4, h, w)
        return window_softmax(logits.sigmoid(), UP_KERNEL**2, 2)

    @staticmethod
    def _encode(guide: Tensor, *kernels: Tensor) -> list[Tensor]:
        """Each sample's channels convolved with that sample's own 6x6 kernels, stride 2."""
        n, c, fine_h, fine_w = guide.shape
        h, w = fine_h // 2, fine_w // 2
        if n == 0 or is_recording():  # a graph holds the number of a convolution's groups
            padded = F.pad(guide, (2, 2, 2, 2))
            outs = [guide.new_zeros(n, c, h, w) for _ in kernels]
            for dy in range(ENCODE_KERNEL):
                for dx in range(ENCODE_KERNEL):
                    view = padded[:, :, dy:dy + 2 * h - 1:2, dx:dx + 2 * w - 1:2]
                    outs = [torch.addcmul(out, view, kernel[:, :, dy:dy + 1, dx:dx + 1])
                            for out, kernel in zip(outs, kernels)]
            return outs
        # One depthwise convolution over the channels of all samples, which is fast on rows of
        # channels: channels_last, in words that torch.vmap knows.
        rows = guide.reshape(1, n * c, fine_h, fine_w)
        rows = rows.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        return [F.conv2d(rows, kernel.repeat_interleave(c, dim=0), stride=2, padding=2,
                         groups=n * c).reshape(n, c, h, w) for kernel in kernels]


@MODELS.register_module()
class A2U(BaseUpsampler):
    """Reassembly of 3x3 windows with weights from the guide's affinity.

    Args:
        in_channels: C.
        scale_factor: 2.
        guide_channels: Channels of the guide, divisible by 32 (its group norms).
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: ``scale_factor`` is not 2, or ``guide_channels`` not divisible by 32.

    >>> A2U(64, guide_channels=32)(torch.rand(1, 64, 8, 8), torch.rand(1, 32, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    guided = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if self.scale_factor != 2:
            raise ValueError(f'A2U supports scale_factor=2 only, got {scale_factor=}')
        if self.guide_channels % GROUPS:
            raise ValueError(f'A2U needs guide_channels divisible by {GROUPS} for its group norms, '
                             f'got guide_channels={self.guide_channels}')
        self.kernel_gen = _KernelGenerator(self.guide_channels)
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's defaults."""
        for module in self.modules():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return reassemble(x, self.kernel_gen(guide), UP_KERNEL)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for name in ('weight', 'bias'):
            state_dict.pop(f'{prefix}kernel_gen.bconv_DP.1.{name}', None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
