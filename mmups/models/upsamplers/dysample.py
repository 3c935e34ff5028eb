"""DySample: upsampling as dynamic point sampling.

Liu, Lu, Fu and Cao, "Learning to Upsample by Learning to Sample" (ICCV 2023, arXiv:2308.15085).
Official code consulted for key names and initial values: tiny-smart/dysample (MIT). State-dict
keys are the authors': ``offset``, ``scope``, ``init_pos``.

Deviations from the paper: none known. From the authors' code: the sampling grid is float32 at
least; ``scope`` has a bias, as in the code that made their released checkpoints (their later code
dropped it: a checkpoint without it loads, and the bias is zero). ``static`` is ours.
"""
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmups.ops import bilinear_positions, pixel_shuffle, sample_dynamic
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups


@MODELS.register_module()
class DySample(BaseUpsampler):
    """Bilinear samples of the coarse map at learned points around the bilinear positions.

    The paper's variants: DySample (``lp``, 4 groups), DySample+ (``lp``, 4, dyscope), DySample-S
    (``pl``, 8) and DySample-S+ (``pl``, 8, dyscope). With zero offsets it is bilinear
    interpolation.

    Args:
        in_channels: C.
        scale_factor: s, a positive integer.
        guide_channels: Not needed.
        style: 'lp', a linear layer, then pixel shuffle; 'pl', pixel shuffle, then a linear layer
            on C/s^2 channels.
        groups: G; each group of C/G channels has its own points.
        dyscope: True: the range of the offsets is learned per point, in (0, 0.5) per unit of the
            linear layer; False: it is 0.25.
        static: True: the points are parameters, the same at every pixel, whatever the content: the
            control that tells what looking at the content is worth. The offsets start and scale
            as the linear layer's do, whose place they take.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: Unknown ``style``; ``groups`` is no positive integer; C is not divisible by
            ``groups``, or in style 'pl' by s^2; ``static`` with 'pl' or ``dyscope``, which say
            what the linear layer is like.

    >>> DySample(64)(torch.rand(1, 64, 8, 8), size=(15, 16)).shape
    torch.Size([1, 64, 15, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, style: str = 'lp', groups: int = 4,
                 dyscope: bool = False, static: bool = False,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if style not in ('lp', 'pl'):
            raise ValueError(f"style must be 'lp' or 'pl', got style={style!r}")
        if static and (style == 'pl' or dyscope):
            raise ValueError('static=True learns the points themselves and has no linear layer: '
                             f"leave out style and dyscope, got style={style!r}, {dyscope=}")
        self.style = style
        self.groups = check_groups(self, 'groups', groups)
        points = self.scale_factor**2
        if style == 'pl' and self.in_channels % points:
            raise ValueError(
                f"style 'pl' needs in_channels divisible by scale_factor^2, got in_channels="
                f"{self.in_channels}, scale_factor={self.scale_factor}; style 'lp' does not")
        if style == 'lp':
            channels = (self.in_channels, 2 * self.groups * points)
        else:
            channels = (self.in_channels // points, 2 * self.groups)
        if static:
            self.offset = nn.Parameter(torch.empty(1, 2 * self.groups * points, 1, 1))
        else:
            self.offset = nn.Conv2d(*channels, 1)
        self.static = static
        self.scope = nn.Conv2d(*channels, 1) if dyscope else None
        self.register_buffer('init_pos', torch.empty(1, 2 * self.groups * points, 1, 1))
        self.init_weights()

    def init_weights(self) -> None:
        """Offsets start near zero, N(0, 0.001^2), and the scope at its middle."""
        self.init_pos.copy_(bilinear_positions(self.scale_factor, self.groups))
        if self.static:
            nn.init.normal_(self.offset, std=0.001)
        else:
            nn.init.normal_(self.offset.weight, std=0.001)
            nn.init.zeros_(self.offset.bias)
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)
            nn.init.zeros_(self.scope.bias)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return sample_dynamic(x, self.compute_offset(x), self.scale_factor, self.groups)

    def compute_offset(self, x: Tensor) -> Tensor:
        """Sampling points of ``x`` relative to its pixel centres.

        Args:
            x: (N, C, h, w).

        Returns:
            Tensor of shape (N, 2*G*s*s, h, w) in coarse pixels, float32 at least; the layout is
            that of :func:`mmups.ops.sample_dynamic`.
        """
        dtype = torch.promote_types(x.dtype, torch.float32)
        n, c, h, w = x.shape
        points = self.scale_factor**2
        if self.static:
            offset = self.offset.to(dtype) * 0.25 + self.init_pos.to(dtype)
            return offset.expand(n, -1, h, w)
        if self.style == 'pl':
            # Pixel shuffle, a pointwise layer and its inverse, without the shuffling: to such a
            # layer the fine pixels may as well lie below one another.
            x = x.reshape(n, c // points, points * h, w)
        offset = self.offset(x).to(dtype)
        if self.scope is None:
            offset = offset * 0.25
        else:
            offset = offset * self.scope(x).to(dtype).sigmoid() * 0.5
        return offset.reshape(n, 2 * self.groups * points, h, w) + self.init_pos.to(dtype)

    def points(self, x: Tensor) -> Tensor:
        s, (n, _, h, w) = self.scale_factor, x.shape
        offset = pixel_shuffle(self.compute_offset(x), s)
        offset = offset.reshape(n, 2, self.groups, s * h, s * w).transpose(1, 2)
        rows, columns = (torch.arange(s * size, device=x.device) // s for size in (h, w))
        return offset + torch.stack(torch.meshgrid(rows, columns, indexing='ij')).flip(0)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        if f'{prefix}offset.weight' in state_dict:
            state_dict.setdefault(f'{prefix}init_pos',
                                  bilinear_positions(self.scale_factor, self.groups))
        weight = state_dict.get(f'{prefix}scope.weight')
        if self.scope is not None and weight is not None:
            state_dict.setdefault(f'{prefix}scope.bias', weight.new_zeros(len(weight)))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        kind = 'static=True' if self.static else f'style={self.style!r}'
        return f'{super().extra_repr()}, {kind}, groups={self.groups}'
