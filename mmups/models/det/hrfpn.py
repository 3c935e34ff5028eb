"""mmdet's HRFPN with upsamplers instead of its resizing.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/hrfpn.py`` (Apache-2.0, OpenMMLab); held to it
by a parity test.
"""
import torch
from mmdet.models.necks import HRFPN as HostHRFPN
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmups.models.layers import Step, UpsamplingSlot, climb, ladder_steps, register_slot


@register_slot(HostHRFPN)
class HRFPN(UpsamplingSlot, HostHRFPN):
    """Neck of HRNet whose maps climb to the finest one in x2 steps: 3 + 2 + 1 for four levels.

    The order is that of :func:`climb`.
    """

    decided_by = ('in_channels', )
    guide = 'the next finer branch'

    def host_steps(self) -> list[Step]:
        return ladder_steps(self.in_channels, host=dict(mode='bilinear'))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps of the branches, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, self.num_ins)
        finest = self._convolve(self.reduction_conv,
                                torch.cat(climb(inputs, self.upsample_modules), dim=1))
        coarser = [self.pooling(finest, kernel_size=2**i, stride=2**i)
                   for i in range(1, self.num_outs)]
        return tuple(map(self._convolve, self.fpn_convs, [finest, *coarser]))

    def _convolve(self, conv: nn.Module, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(conv, x, use_reentrant=False)
        return conv(x)
