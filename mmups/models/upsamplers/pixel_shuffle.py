"""Sub-pixel convolution.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network" (CVPR 2016, arXiv:1609.05158). State-dict keys are those of the
DySample authors' forks (Apache-2.0, read for the keys alone): ``0.weight``, ``0.bias``.

Deviations: the channels stay C unless a slot changes them (the paper maps features to the three
colours of an image).
"""
from typing import Optional, Union

from torch import Tensor, nn

from mmups.ops import pixel_shuffle
from mmups.registry import MODELS

from .base import BaseUpsampler
from .checks import check_int, check_out_channels


@MODELS.register_module()
class PixelShuffle(BaseUpsampler):
    """Convolution to s*s times the channels, which are rearranged to s times the size.

    Args:
        in_channels: C.
        scale_factor: s.
        guide_channels: Not needed.
        kernel_size: Odd kernel of the convolution.
        out_channels: Channels of the output; None: C.
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: ``kernel_size`` is even or not positive.

    >>> PixelShuffle(64, scale_factor=4)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 32, 32])
    """

    changes_channels = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, kernel_size: int = 3,
                 out_channels: Optional[int] = None, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        self.out_channels = check_out_channels(self, out_channels)
        kernel_size = check_int('kernel_size', kernel_size, odd=True)
        self.add_module('0', nn.Conv2d(self.in_channels, self.out_channels * self.scale_factor**2,
                                       kernel_size, padding=kernel_size // 2))
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's default for convolutions."""
        self.get_submodule('0').reset_parameters()
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return pixel_shuffle(self.get_submodule('0')(x), self.scale_factor)
