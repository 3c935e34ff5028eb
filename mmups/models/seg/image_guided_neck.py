"""A neck that gives guided methods to plain ViTs, whose backbones have no finer map.

Zhou, Wang, Zheng and Meng, "A Refreshed Similarity-based Upsampler for Direct High-Ratio Feature
Upsampling" (arXiv:2407.02283), experiment with Segmenter. Official code: zmhhmz/ReSFU (no licence
for this part); none was read, only a description of its layers.

Deviations: none known with ReSFU, an image of whole patches and the defaults; other methods take
its place here.
"""
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from mmups.models.layers import (
    Step,
    UpsamplingSlot,
    maps_and_image,
    needs_image,
    register_slot,
)
from mmups.models.upsamplers.norm import GroupNorm


@register_slot()
class ImageGuidedNeck(UpsamplingSlot, BaseModule):
    """Brings a ViT's map to a finer size, by a guide that strided convolutions make of the image.

    Methods without a guide take its size only, and those that are guided by the image take that
    itself. Without an upsampler the step is bilinear interpolation.

    Args:
        in_channels: C, of the map.
        patch_size: Pixels of the image, a side, that a pixel of the map stands for.
        channels: Of the convolutions on the image, each of which halves its size; the last one's
            are the guide's.
        init_cfg: As in mmengine.
        kwargs: As in :class:`UpsamplingSlot`.

    Raises:
        ValueError: The guide has no whole multiple of the map's size.

    >>> neck = ImageGuidedNeck(32, upsampler=dict(type='ReSFU'))
    >>> image = torch.rand(1, 3, 64, 90)
    >>> neck((torch.rand(1, 32, 4, 6), image))[0].shape
    torch.Size([1, 32, 16, 23])
    """

    decided_by = ('patch_size', 'channels')
    guide = 'convolutions of the image, or the image itself for methods that take it'

    def __init__(self, in_channels: int, patch_size: int = 16, channels: Sequence[int] = (64, 32),
                 init_cfg: Any = None, **kwargs: Any):
        self.in_channels, self.patch_size, self.channels = in_channels, patch_size, tuple(channels)
        self.stride = 2**len(self.channels)
        if not self.channels or patch_size <= self.stride or patch_size % self.stride:
            raise ValueError(
                f'{len(self.channels)} convolutions make a guide of 1/{self.stride} of the image, '
                f'which is no whole multiple of a map of 1/{patch_size}; got {channels=}')
        super().__init__(init_cfg=init_cfg, **kwargs)
        upsample, = self.upsample_modules
        if upsample.guided and not needs_image(upsample):
            self.stem = self._stem()

    def host_steps(self) -> list[Step]:
        return [Step(self.in_channels, self.channels[-1], self.patch_size // self.stride,
                     host=dict(mode='bilinear'), image=True)]

    def _stem(self) -> nn.Module:
        layers, inputs = [], 3
        for width in self.channels:
            layers += [nn.Conv2d(inputs, width, 3, 2, padding=1, padding_mode='replicate'),
                       GroupNorm(1, width), nn.ReLU()]
            inputs = width
        return Sequential(*layers[:-2])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        """The map (N, C, h, w) and the image behind it, of ``mmups.WithImage``, to a tuple of
        (N, C, H, W), where H and W are the image's, halved once for each of ``channels``."""
        maps, image = maps_and_image(inputs)
        self.check_maps(maps, 1)
        upsample, = self.upsample_modules
        guide = self.stem(image) if hasattr(self, 'stem') else image
        size = tuple(-(-n // self.stride) for n in image.shape[2:])
        return (upsample(maps[0], guide if upsample.guided else None, size), )
