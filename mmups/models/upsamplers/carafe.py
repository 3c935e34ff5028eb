"""CARAFE: content-aware reassembly of features.

Wang et al. (ICCV 2019, arXiv:1905.02188). Official code consulted for key names and initial
values: mmcv's CARAFEPack (Apache-2.0). State-dict keys are mmcv's: ``channel_compressor``,
``content_encoder``.

Deviations: none known. Half precision sums in float32.
"""
from typing import Optional, Union

from torch import Tensor, nn

from mmups.ops import reassemble, window_softmax, windows_of
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_groups, check_int


@MODELS.register_module()
class CARAFE(BaseUpsampler):
    """Windows of the coarse map summed with weights that a small encoder predicts.

    The window is zero outside the map and the weights are not renormalised there, as in the
    paper's code: a constant map comes out smaller at its border.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Not needed.
        up_kernel: Odd window size K.
        up_group: Groups of channels with weights of their own.
        encoder_kernel: Odd kernel of the content encoder.
        encoder_dilation: Its dilation.
        compressed_channels: Channels that the encoder works on.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, a kernel is even, or C is not divisible by
            ``up_group``.

    >>> CARAFE(64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, up_kernel: int = 5, up_group: int = 1,
                 encoder_kernel: int = 3, encoder_dilation: int = 1,
                 compressed_channels: int = 64, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.up_kernel = check_int('up_kernel', up_kernel, odd=True)
        self.up_group = check_groups(self, 'up_group', up_group)
        encoder_kernel = check_int('encoder_kernel', encoder_kernel, odd=True)
        encoder_dilation = check_int('encoder_dilation', encoder_dilation)
        compressed_channels = check_int('compressed_channels', compressed_channels)
        self.channel_compressor = nn.Conv2d(self.in_channels, compressed_channels, 1)
        self.content_encoder = nn.Conv2d(
            compressed_channels, self.up_kernel**2 * self.up_group * self.scale_factor**2,
            encoder_kernel, padding=(encoder_kernel - 1) * encoder_dilation // 2,
            dilation=encoder_dilation)
        self.init_weights()

    def init_weights(self) -> None:
        """Starts as an almost uniform mean over the window."""
        nn.init.xavier_uniform_(self.channel_compressor.weight)
        nn.init.zeros_(self.channel_compressor.bias)
        nn.init.normal_(self.content_encoder.weight, std=0.001)
        nn.init.zeros_(self.content_encoder.bias)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return reassemble(x, self._weights(x), self.up_kernel, self.up_group, self.scale_factor)

    def _weights(self, x: Tensor) -> Tensor:
        logits = self.content_encoder(self.channel_compressor(x))
        return window_softmax(logits, self.up_kernel**2, self.scale_factor)

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Tensor:
        return windows_of(self._weights(x), self.up_kernel, self.scale_factor)
