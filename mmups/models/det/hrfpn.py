"""mmdet's HRFPN with upsamplers instead of its resizing.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/hrfpn.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
from typing import Optional

import torch
from mmdet.models.necks import HRFPN as HostHRFPN
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmups.models.layers import NoSite, build_ladder, climb, register_slot


@register_slot(HostHRFPN)
class HRFPN(HostHRFPN):
    """Neck of HRNet whose maps climb to the finest one in x2 steps: 3 + 2 + 1 for four levels.

    The order is that of :func:`climb`; the guide of each step is the map of the next finer branch.

    Args:
        upsampler: The method and its arguments; None: one bilinear interpolation per level, as in
            mmdet.
        kwargs: As in mmdet's HRFPN.

    Raises:
        NoSite: ``upsampler`` with one level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is not None and self.num_ins == 1:
            raise NoSite(f'in_channels={self.in_channels} is one level: there is nothing to '
                         'upsample')
        self.upsample_modules = build_ladder(upsampler or dict(mode='bilinear'), self.in_channels)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps of the branches, finest first, to ``num_outs`` maps of ``out_channels``."""
        if len(inputs) != self.num_ins:
            raise ValueError(f'this HRFPN was built for {self.num_ins} maps, got {len(inputs)}')
        finest = self._convolve(self.reduction_conv,
                                torch.cat(climb(inputs, self.upsample_modules), dim=1))
        outs = [finest]
        for i in range(1, self.num_outs):
            outs.append(self.pooling(finest, kernel_size=2**i, stride=2**i))
        return tuple(self._convolve(conv, x) for conv, x in zip(self.fpn_convs, outs))

    def _convolve(self, conv: nn.Module, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(conv, x, use_reentrant=False)
        return conv(x)
