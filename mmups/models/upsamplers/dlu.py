"""DLU: dynamic lightweight upsampling, CARAFE with its kernels sampled from a small space.

Fu, Hu, Dong, Gao, Li and Zhong, "Lighten CARAFE: Dynamic Lightweight Upsampling with Guided
Reassemble Kernels" (arXiv:2410.22139). Official code: Fu0511/Dynamic-Lightweight-Upsampling (no
licence found); none was read, only its forms, key names and initial values. State-dict keys are the
authors': ``channel_compressor``, ``kernel_space_generator``, ``conv_offset``.

Deviations: none known. The authors' ``groups`` is left out: with more than one their code fails.
"""
from typing import Optional, Union

from torch import Tensor, nn

from mmups.ops import pixel_unshuffle, reassemble, sample_dynamic, softmax, windows_of
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_int


@MODELS.register_module()
class DLU(BaseUpsampler):
    """Windows of the coarse map summed with weights that are sampled between coarse ones.

    One kernel per coarse pixel is predicted; each fine pixel takes the bilinear mixture of four of
    them around a learned point. The parameters grow with s^2 through the points alone. As in CARAFE
    the window is zero outside the map: a constant map comes out smaller at its border.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Not needed.
        compressed_channels: Channels from which kernels and points are predicted.
        up_kernel: Odd window size K.
        init_cfg: Applied after the paper's initialisation.

    Raises:
        ValueError: A number is not a positive integer, or ``up_kernel`` is even.

    >>> DLU(64, scale_factor=4)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 32, 32])
    """

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, compressed_channels: int = 64,
                 up_kernel: int = 5, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        channels = check_int('compressed_channels', compressed_channels)
        self.up_kernel = check_int('up_kernel', up_kernel, odd=True)
        self.channel_compressor = nn.Conv2d(self.in_channels, channels, 1)
        self.kernel_space_generator = nn.Conv2d(channels, self.up_kernel**2, 3, padding=1)
        self.conv_offset = nn.Conv2d(channels, 2 * self.scale_factor**2, 3, padding=1)
        self.init_weights()

    def init_weights(self) -> None:
        """Starts as an almost uniform mean over the window, the same for all pixels of a cell."""
        nn.init.xavier_uniform_(self.channel_compressor.weight)
        nn.init.normal_(self.kernel_space_generator.weight, std=0.001)
        nn.init.zeros_(self.conv_offset.weight)
        for layer in (self.channel_compressor, self.kernel_space_generator, self.conv_offset):
            nn.init.zeros_(layer.bias)
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return reassemble(x, self._weights(x), self.up_kernel, scale_factor=self.scale_factor)

    def _weights(self, x: Tensor) -> Tensor:
        compressed = self.channel_compressor(x)
        coarse = softmax(self.kernel_space_generator(compressed), dim=1)
        fine = sample_dynamic(coarse, self.conv_offset(compressed), self.scale_factor)
        return pixel_unshuffle(fine, self.scale_factor)

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Tensor:
        return windows_of(self._weights(x), self.up_kernel, self.scale_factor)
