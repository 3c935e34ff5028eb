"""Transposed convolution, the 'deconv' of the comparison tables.

Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (arXiv:1603.07285);
compared in DySample, Table 4 (arXiv:2308.15085), with kernel 3. State-dict keys are those of the
authors' forks (Apache-2.0, read for the keys alone): ``weight``, ``bias``.

Deviations: ``groups`` is for the baseline of LCTC (arXiv:2311.17524), which is depthwise, kernel 2.
"""
import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int, check_out_channels


@MODELS.register_module()
class Deconv(BaseUpsampler):
    """Transposed convolution with bias, dense unless ``groups`` says otherwise.

    Args:
        in_channels: C.
        scale_factor: Stride s, 2 or more.
        guide_channels: Not needed.
        kernel_size: k, at least s, so that no output pixel is left without an input.
        groups: Of the convolution; None: as many as channels allow, which is depthwise (C) where
            the channels stay.
        out_channels: Channels of the output; None: C.
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: ``kernel_size`` is no positive integer or smaller than ``scale_factor``,
            ``scale_factor`` is 1, or ``groups`` does not divide the channels.

    >>> Deconv(64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 16, 16])
    """

    changes_channels = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, kernel_size: int = 3,
                 groups: Optional[int] = 1, out_channels: Optional[int] = None,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.out_channels = check_out_channels(self, out_channels)
        k, c = check_int('kernel_size', kernel_size), self.out_channels
        if not k >= self.scale_factor >= 2:
            raise ValueError('Deconv needs kernel_size >= scale_factor >= 2, got '
                             f'kernel_size={k}, scale_factor={self.scale_factor}')
        self.kernel_size = k
        groups = math.gcd(self.in_channels, c) if groups is None else groups
        self.groups = check_groups(self, 'groups', groups)
        self.padding = (k - 1) // 2
        self.output_padding = self.scale_factor - k + 2 * self.padding  # exact s*h
        self.weight = nn.Parameter(torch.empty(self.in_channels, c // self.groups, k, k))
        self.bias = nn.Parameter(torch.empty(c))
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's default for transposed convolutions: uniform within
        1/sqrt(out_channels/groups*k*k)."""
        bound = self.weight[0].numel()**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return F.conv_transpose2d(x, self.weight, self.bias, self.scale_factor, self.padding,
                                  self.output_padding, self.groups)

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Tensor:
        return self.weight.flatten(0, 1)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, kernel_size={self.kernel_size}, groups={self.groups}'
