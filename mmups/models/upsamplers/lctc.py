"""LCTC: large context transposed convolution.

Agnihotri, Grabinski and Keuper, "Improving Feature Stability during Upsampling -- Spectral
Artifacts and the Importance of Spatial Context" (ECCV 2024, arXiv:2311.17524; first version
"Improving Stability during Upsampling"). The block follows the authors' public code as described
in their UNet, STTR-light and Restormer variants (MIT, Apache-2.0, non-commercial; none copied).
Checkpoints of the Restormer variant, whose paths are ``body`` and ``para``, load.

Deviations: ``init='bilinear'`` and :meth:`LCTC.fuse` are ours; scales other than 2 are ours.
"""
import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import depthwise_transposed
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int, check_out_channels
from .keys import rename_keys

#: Name of a path in the authors' Restormer -> ours.
AUTHORS_PATHS = {'body': 'large', 'para': 'small'}


@MODELS.register_module()
class LCTC(BaseUpsampler):
    """Transposed convolution with a large kernel, plus a parallel one with a small kernel.

    The large path gives context and can suppress the spectral replicas that upsampling makes, the
    small path keeps detail; their outputs are summed. Both place coarse pixel i at fine pixel
    s*i (padding (k-1)/2, output padding s-1), so the output is exactly s*h.

    Args:
        in_channels: C.
        scale_factor: Stride s.
        guide_channels: Not needed.
        kernel_size: Odd kernel k of the large path, 3 to 31.
        small_kernel_size: Odd kernel of the small path, at most k; None: no small path.
        groups: Groups of both convolutions; None: as many as channels allow, which is depthwise
            (C) where the channels stay, as in the paper's UNet, and C/2 where they halve, as in
            its Restormer and NAFNet; 1: dense.
        init: 'default', PyTorch's, as the authors train it; 'bilinear': the large path starts as
            bilinear interpolation (away from the border) and the small one at zero.
        out_channels: Channels of the output; None: C.
        init_cfg: Applied after that.

    Raises:
        ValueError: A kernel is even or out of range, ``groups`` does not divide the channels,
            ``init`` is unknown, the kernel is too small to hold the bilinear one, or that is asked
            for where the channels change.

    >>> LCTC(64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 16, 16])
    """

    changes_channels = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, kernel_size: int = 11,
                 small_kernel_size: Optional[int] = 3, groups: Optional[int] = None,
                 init: str = 'default', out_channels: Optional[int] = None,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.out_channels = check_out_channels(self, out_channels)
        kernel_size = check_int('kernel_size', kernel_size, least=3, most=31, odd=True)
        if small_kernel_size is not None:
            small_kernel_size = check_int('small_kernel_size', small_kernel_size, most=kernel_size,
                                          odd=True)
        groups = math.gcd(self.in_channels, self.out_channels) if groups is None else groups
        groups = check_groups(self, 'groups', groups)
        if init not in ('default', 'bilinear'):
            raise ValueError(f"init must be 'default' or 'bilinear', got init={init!r}")
        if init == 'bilinear' and self.in_channels != self.out_channels:
            raise ValueError(
                "init='bilinear' is an interpolation of each channel, and here "
                f'{self.in_channels} channels become {self.out_channels}: leave it out')
        self.init = init
        self.large = self._path(kernel_size, groups)
        self.small = None if small_kernel_size is None else self._path(small_kernel_size, groups)
        self.init_weights()

    def _path(self, kernel_size: int, groups: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(
            self.in_channels, self.out_channels, kernel_size, stride=self.scale_factor,
            padding=(kernel_size - 1) // 2, output_padding=self.scale_factor - 1, groups=groups)

    def init_weights(self) -> None:
        """PyTorch's default, or bilinear interpolation as the start."""
        paths = [self.large] if self.small is None else [self.large, self.small]
        for path in paths:
            path.reset_parameters()
        if self.init == 'bilinear':
            for path in paths:
                nn.init.zeros_(path.weight)
                nn.init.zeros_(path.bias)
            channel = torch.arange(self.in_channels)
            with torch.no_grad():
                self.large.weight[channel, channel % self.large.weight.shape[1]] = (
                    self._bilinear_kernel().to(self.large.weight))
        super().init_weights()

    def _bilinear_kernel(self) -> Tensor:
        """Half-pixel centred bilinear kernel at the taps of the large path, (k, k)."""
        k, s = self.large.kernel_size[0], self.scale_factor
        # Distance in coarse pixels of each tap's fine pixel from the centre of the coarse one.
        distance = (torch.arange(k, dtype=torch.float64, device='cpu')
                    - (k - 1) / 2 - (s - 1) / 2) / s
        taps = (1 - distance.abs()).clamp(min=0)
        if not torch.isclose(taps.sum(), taps.new_tensor(s)):
            raise ValueError(
                f"init='bilinear' with scale_factor={s} needs kernel_size "
                f'{3 * s - 2 if s % 2 else 3 * s - 1} or larger, got {k}')
        return torch.outer(taps, taps)

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        if self.small is not None and torch.onnx.is_in_onnx_export():  # no sums as weights there
            return self.large(x) + self.small(x)
        weight, bias = self._kernel()
        if self.large.groups != self.out_channels:
            return F.conv_transpose2d(x, weight, bias, self.large.stride, self.large.padding,
                                      self.large.output_padding, self.large.groups)
        terms = self.in_channels // self.out_channels
        if terms == 1:
            return depthwise_transposed(x, weight, bias, self.scale_factor)
        # Each output is a sum of depthwise ones; the bias belongs to the first of them.
        bias = F.pad(bias.unsqueeze(1), (0, terms - 1)).flatten()
        out = depthwise_transposed(x, weight, bias, self.scale_factor)
        return sum(out[:, i::terms] for i in range(terms))

    def _kernel(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of both paths in one: they are linear, and the small kernel sits at the
        centre of the large one."""
        if self.small is None:
            return self.large.weight, self.large.bias
        margin = (self.large.kernel_size[0] - self.small.kernel_size[0]) // 2
        return (self.large.weight + F.pad(self.small.weight, [margin] * 4),
                self.large.bias + self.small.bias)

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Tensor:
        return self._kernel()[0].flatten(0, 1)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for theirs, ours in AUTHORS_PATHS.items():
            rename_keys(state_dict, f'{prefix}{theirs}.', f'{prefix}{ours}.')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def paths(self) -> dict[str, nn.Module]:
        paths = dict(large=self.large, small=self.small)
        return {} if self.small is None else paths

    def fuse(self, x: Optional[Tensor] = None, guide: Optional[Tensor] = None,
             size: Optional[tuple[int, int]] = None) -> Union['LCTC', tuple[Tensor, Tensor]]:
        """Fold the small path into the large one, for deployment.

        Args:
            x, guide, size: With a map this is the method of the same name that all upsamplers
                have, and nothing is folded.

        Returns:
            This module, now without a small path.
        """
        if x is not None:
            return super().fuse(x, guide, size)
        if self.small is not None:
            with torch.no_grad():
                weight, bias = self._kernel()
                self.large.weight.copy_(weight)
                self.large.bias.copy_(bias)
            self.small = None
        return self
