"""Transposed convolution, the 'deconv' of the comparison tables.

Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (arXiv:1603.07285);
compared in DySample, Table 4 (arXiv:2308.15085), with kernel 3. State-dict keys are those of the
authors' forks (Apache-2.0, read for the keys alone): ``weight``, ``bias``.

Deviations: none known.
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.registry import MODELS

from .base import BaseUpsampler


@MODELS.register_module()
class Deconv(BaseUpsampler):
    """Dense transposed convolution with bias.

    Args:
        in_channels: C.
        scale_factor: Stride s, 2 or more.
        guide_channels: Not needed.
        kernel_size: k, at least s, so that no output pixel is left without an input.
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: ``kernel_size`` is smaller than ``scale_factor``, or ``scale_factor`` is 1.
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, kernel_size: int = 3,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if not isinstance(kernel_size, int) or kernel_size < scale_factor or scale_factor < 2:
            raise ValueError('Deconv needs an integer kernel_size >= scale_factor >= 2, got '
                             f'kernel_size={kernel_size!r}, scale_factor={scale_factor}')
        self.kernel_size = kernel_size
        self.padding = (kernel_size - 1) // 2
        self.output_padding = scale_factor - kernel_size + 2 * self.padding  # exact s*h
        self.weight = nn.Parameter(torch.empty(in_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(in_channels))
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's default for transposed convolutions: uniform within 1/sqrt(C*k*k)."""
        bound = self.weight[0].numel()**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return F.conv_transpose2d(x, self.weight, self.bias, self.scale_factor, self.padding,
                                  self.output_padding)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, kernel_size={self.kernel_size}'
