"""Plain interpolation, the baseline of every comparison (``torch.nn.functional.interpolate``).

Deviations: none known.
"""
from typing import Optional, Union

import torch.nn.functional as F
from torch import Tensor

from mmups.registry import MODELS

from .base import BaseUpsampler

MODES = ('nearest', 'nearest-exact', 'bilinear', 'bicubic', 'area')


@MODELS.register_module()
class Interpolate(BaseUpsampler):
    """Nearest, bilinear, bicubic or area interpolation to any size, in one step.

    Args:
        in_channels: C.
        scale_factor: Used where no size and no guide is given.
        guide_channels: Not needed; a guide gives only its size.
        mode: One of 'nearest', 'nearest-exact', 'bilinear', 'bicubic', 'area'.
        align_corners: PyTorch's, for 'bilinear' and 'bicubic' only. None: False.
        init_cfg: Not needed.

    Raises:
        ValueError: Unknown ``mode``, or ``align_corners`` with a mode that has none.

    >>> Interpolate(64)(torch.rand(1, 64, 8, 8), size=(50, 20)).shape
    torch.Size([1, 64, 50, 20])
    """

    any_size = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, mode: str = 'bilinear',
                 align_corners: Optional[bool] = None, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got mode={mode!r}')
        if mode not in ('bilinear', 'bicubic') and align_corners:
            raise ValueError(f'{align_corners=} has no meaning with {mode=}; leave it out')
        self.mode = mode
        self.align_corners = align_corners if mode in ('bilinear', 'bicubic') else None

    def upsample(self, x: Tensor, guide: Optional[Tensor],
                 size: Optional[tuple[int, int]] = None) -> Tensor:
        return F.interpolate(x, size=size, scale_factor=self.scale_factor if size is None else None,
                             mode=self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, mode={self.mode!r}, align_corners={self.align_corners}'
