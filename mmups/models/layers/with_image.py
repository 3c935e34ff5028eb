"""The image as a guide: how it comes from a backbone to the slots, and who is given it.

Hosts hand on a backbone's maps and not the image. A backbone that returns the image behind its maps
needs no change of a host: a neck or a head whose method is ``image_guided`` takes the last map of
what it gets for the image. Who is guided by it is asked here and where a step is built.
"""
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

from torch import Tensor, nn

from mmups.registry import MODELS

from .around_host import AroundHost
from .slot import IMAGE_CHANNELS


@MODELS.register_module()
class WithImage(AroundHost):
    """Any backbone, which returns the image behind its maps.

    The result is an object of the host's class, with its methods, attributes and keys. The image
    is the one that the backbone is given: normalised, and padded as its batch.

    Args:
        args, kwargs: As in the host.
        host: The class, or its name in the registry.

    Raises:
        ValueError: ``host`` is no class of modules.

    >>> backbone = WithImage(3, 8, 16, 16, host=nn.Conv2d)
    >>> import torch
    >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 64))]
    [(1, 8, 4, 4), (1, 3, 64, 64)]
    """

    def __init__(self, *args: Any, host: Union[str, type], **kwargs: Any):
        super().__init__(*args, **kwargs)

    def forward(self, x: Tensor) -> tuple:
        """Images (N, 3, H, W) to the maps of the host, and the images."""
        maps = super().forward(x)
        return (*(maps if isinstance(maps, (list, tuple)) else [maps]), x)


def needs_image(upsample: nn.Module) -> bool:
    """Whether what takes a step, an upsampler or a layer of a host, is guided by the image."""
    return getattr(upsample, 'image_guided', False)


def split_image(maps: Sequence, upsample_modules: Iterable[nn.Module]
                ) -> tuple[Sequence, Optional[Tensor]]:
    """The maps that a host knows of, and the image behind them; None where no module needs it.

    Args:
        maps: What a slot is given.
        upsample_modules: Those of the slot.

    Raises:
        ValueError: The last one is no image.
    """
    return maps_and_image(maps) if any(map(needs_image, upsample_modules)) else (maps, None)


def maps_and_image(maps: Sequence) -> tuple[Sequence, Tensor]:
    """Likewise, where the image has to be there.

    Raises:
        ValueError: The last one is no image.
    """
    *others, image = maps
    if not (others and isinstance(image, Tensor) and image.dim() == 4
            and image.shape[1] == IMAGE_CHANNELS):
        got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise ValueError(
            'a method that is guided by the image needs it as the last map, '
            f'(N, {IMAGE_CHANNELS}, H, W), got {got}; wrap the backbone: '
            "backbone=dict(type='mmups.WithImage', host='...')")
    return others, image


def upsample_by_image(x: Tensor, image: Optional[Tensor], upsample: nn.Module) -> Tensor:
    """A step that has no guide but the image, to a multiple of the size of ``x``."""
    if image is None or not needs_image(upsample):
        return upsample(x)
    return upsample(x, image, tuple(n * upsample.scale_factor for n in x.shape[2:]))
