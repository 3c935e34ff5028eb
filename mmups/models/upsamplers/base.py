"""The contract that every upsampler keeps and every slot relies on."""
from abc import ABCMeta, abstractmethod
from typing import ClassVar, Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import Module

from mmups.ops import fit_size, is_recording
from mmups.ops.fit import of_example

from .checks import check_int, check_size


def _is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` is channels_last and nothing else; unknown, so False, under torch.vmap."""
    try:
        return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    except RuntimeError:
        return False


def _like(x: Tensor, out: Tensor) -> Tensor:
    """``out`` in the dtype and the memory format of ``x``."""
    out = out.to(x.dtype)
    return out.contiguous(memory_format=torch.channels_last) if _is_channels_last(x) else out


class BaseUpsampler(BaseModule, metaclass=ABCMeta):
    """Brings a map (N, C, h, w) to a finer size; channels stay as they are, unless a class that
    ``changes_channels`` is told to change them.

    A subclass implements :meth:`upsample`, to which exact ``scale_factor`` sizes are guaranteed,
    and :meth:`init_weights`, which it calls at the end of its constructor.

    Args:
        in_channels: C.
        scale_factor: Ratio of the fine to the coarse size, a positive integer.
        guide_channels: Channels of the guide that :meth:`forward` will be given; None: no guide.
        init_cfg: mmengine's initialisation, applied after the paper's.

    Raises:
        ValueError: One of the numbers is not a positive integer, or a ``guided`` class gets
            ``guide_channels=None``.

    >>> class Nearest(BaseUpsampler):
    ...     def upsample(self, x, guide):
    ...         return torch.nn.functional.interpolate(x, scale_factor=self.scale_factor)
    >>> Nearest(64)(torch.rand(1, 64, 8, 8), size=(15, 17)).shape
    torch.Size([1, 64, 15, 17])
    """

    #: True: the method needs a finer map as its guide.
    guided: ClassVar[bool] = False
    #: True: the guide is an image, whose size may be a multiple of the output's.
    image_guided: ClassVar[bool] = False
    #: True: reaches any size in one step. Such a class takes the size as the third argument of
    #: :meth:`upsample`; without a guide (plain interpolation) nobody has to chain it.
    any_size: ClassVar[bool] = False
    #: True: the output holds the guide already, and nobody may add it again.
    includes_guide: bool = False
    #: True: changes its guide too, which :meth:`fuse` returns. Such a class implements
    #: :meth:`upsample_and_enhance` besides.
    enhances_guide: ClassVar[bool] = False
    #: True: can change the channels itself. Such a class takes ``out_channels`` besides, and where
    #: they are given every method here makes maps of so many.
    changes_channels: ClassVar[bool] = False

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None,
                 init_cfg: Union[dict, list, None] = None):
        super().__init__(init_cfg)
        self.in_channels = check_int('in_channels', in_channels)
        self.scale_factor = check_int('scale_factor', scale_factor)
        if guide_channels is not None:
            guide_channels = check_int('guide_channels', guide_channels)
        elif self.guided:
            raise ValueError(f'{type(self).__name__} needs a guide, got guide_channels=None')
        self.guide_channels = guide_channels

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None, fuse: bool = False
                ) -> Union[Tensor, tuple[Tensor, Tensor]]:
        """Upsample ``x``.

        Args:
            x: (N, C, h, w), any float dtype and memory format; N may be 0.
            guide: (N, guide_channels, H, W), a finer map that shows where the edges are. An
                unguided method takes only its size.
            size: Height and width to return, integers. Default: the guide's, else
                ``scale_factor`` times those of ``x``, as for an image that is a multiple of it.
            fuse: For :meth:`fuse`.

        Both ``size`` and the guide's size must differ from ``scale_factor`` times that of ``x`` by
        less than one coarse pixel. A class with ``any_size`` reaches every ``size``; a guide given
        with it must be within ``scale_factor`` pixels of it.

        Returns:
            Tensor of shape (N, C, *size), in the dtype and the memory format of ``x``.

        Raises:
            ValueError: A shape does not fit; the message quotes both sides.
        """
        self._check_input(x, guide)
        guide_size = None if guide is None else guide.shape[-2:]
        ratio = self._guide_ratio(x, guide)
        if size is not None:
            size = check_size(size)
        elif ratio == 1:
            size = guide_size
        exact = (x.shape[-2] * self.scale_factor, x.shape[-1] * self.scale_factor)
        if self.any_size and size is not None:
            exact = size
        self._check_sizes(x, exact, {'size': (size, 1), 'a guide of size': (guide_size, ratio)})
        fine = None
        if guide is not None and self.guided:
            fine = fit_size(guide, tuple(ratio * n for n in exact))
        if fuse and self.enhances_guide:
            out, enhanced = self.upsample_and_enhance(x, fine)
            guide = _like(guide, fit_size(enhanced, guide_size))
        elif self.any_size:
            out = self.upsample(x, fine, size)
        else:
            out = self.upsample(x, fine)
        if size is not None and not self.any_size:
            out = fit_size(out, size)
        out = _like(x, out)
        return (out, guide) if fuse else out

    def fuse(self, x: Tensor, guide: Tensor, size: Optional[tuple[int, int]] = None
             ) -> tuple[Tensor, Tensor]:
        """For hosts that lay the upsampled map and its guide beside one another.

        Args:
            x, guide, size: As in :meth:`forward`.

        Returns:
            The upsampled map (N, C, *size), and the guide: as it came, or, where the class
            ``enhances_guide``, what the method has made of it, of the same shape and dtype. There
            the map is by itself, also where the class ``includes_guide``.

        Raises:
            ValueError: As in :meth:`forward`.
        """
        if not self.enhances_guide:
            return self(x, guide, size), guide
        return self(x, guide, size, fuse=True)

    def _check_input(self, x: Tensor, guide: Optional[Tensor]) -> None:
        name = type(self).__name__
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f'{name} was built for maps (N, {self.in_channels}, h, w), got '
                             f'{tuple(x.shape)}')
        if not self.guided:
            return
        if guide is None:
            raise ValueError(f'{name} needs a guide with {self.guide_channels} channels: call it '
                             'with guide=...')
        if guide.dim() != 4 or guide.shape[:2] != (x.shape[0], self.guide_channels):
            raise ValueError(f'{name} needs a guide ({x.shape[0]}, {self.guide_channels}, H, W), '
                             f'got {tuple(guide.shape)}')

    def _guide_ratio(self, x: Tensor, guide: Optional[Tensor]) -> int:
        """Pixels of the guide per pixel of the output, rounded; 1 unless it is an image."""
        if guide is None or not self.image_guided:
            return 1
        height, exact = guide.shape[-2], x.shape[-2] * self.scale_factor
        if is_recording():
            height, exact = of_example(height), of_example(exact)
        return max(1, (2 * height + exact) // (2 * exact))

    def _check_sizes(self, x: Tensor, exact: tuple[int, int], given: dict) -> None:
        """The one rule on sizes: less than a coarse pixel between each given one and the exact, or
        a multiple of it."""
        if is_recording():  # a comparison would hold the graph to sizes that fit alike
            return
        for name, (size, ratio) in given.items():
            pixel = ratio * self.scale_factor
            if size is not None and any(abs(target - ratio * full) >= pixel
                                        for target, full in zip(size, exact)):
                times = f', and {ratio} times that' if ratio > 1 else ''
                raise ValueError(
                    f'{type(self).__name__} with scale_factor={self.scale_factor} brings '
                    f'{tuple(x.shape[-2:])} to {tuple(exact)}{times}, which cannot be fitted to '
                    f'{name} {tuple(size)}: each side may differ by less than {pixel}')

    @abstractmethod
    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        """The paper's method.

        Args:
            x: (N, C, h, w).
            guide: (N, guide_channels, s*h, s*w) where the class is ``guided``, else None; for one
                that is ``image_guided``, an integer multiple of that size.

        A class with ``any_size`` takes a third argument, the height and width to return, or None
        for s*h and s*w.

        Returns:
            Tensor of shape (N, C, s*h, s*w).
        """

    def upsample_and_enhance(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """The method of a class that ``enhances_guide``, for :meth:`fuse`.

        Args:
            x, guide: As in :meth:`upsample`.

        Returns:
            Tensors of shape (N, C, s*h, s*w) and of the guide's shape.
        """
        raise NotImplementedError(f'{type(self).__name__} leaves its guide as it is')

    def points(self, x: Tensor) -> Optional[Tensor]:
        """Where the output is sampled, for pictures and statistics; None: this method does not
        sample.

        Args:
            x: (N, C, h, w).

        Returns:
            Tensor of shape (N, G, 2, s*h, s*w), G groups of channels, x before y, in coarse pixels
            from the centre of the first one; plain interpolation has (i + 0.5) / s - 0.5.
        """
        return None

    def kernels(self, x: Tensor, guide: Optional[Tensor] = None) -> Optional[Tensor]:
        """The weights with which this method sums, for pictures; None: it has none to show.

        Args:
            x: (N, C, h, w).
            guide: As in :meth:`forward`.

        Returns:
            Tensor of shape (N, G, s*h, s*w, K, K), the windows of coarse pixels that each fine
            pixel sums in each group of channels; or, where the content does not matter, (P, k, k):
            what each of P kernels makes of a coarse pixel, in fine pixels.
        """
        return None

    def paths(self) -> dict[str, Module]:
        """Parallel parts of this method that can be reset by themselves, by name."""
        return {}

    def _exact_guide(self, x: Tensor, guide: Tensor) -> Tensor:
        return fit_size(guide, tuple(n * self.scale_factor for n in x.shape[-2:]))

    def init_weights(self) -> None:
        """Set the paper's initial weights; may be called any number of times.

        Subclasses set their own and then call this, which gives a user's ``init_cfg`` the last
        word. The module never counts as initialised: a host that has just overwritten the
        weights beneath it (a Xavier neck) must reach this method afterwards.
        """
        if self.init_cfg:
            super().init_weights()
            self._is_init = False

    def extra_repr(self) -> str:
        guide = f', guide_channels={self.guide_channels}' if self.guided else ''
        return f'{self.in_channels}, scale_factor={self.scale_factor}{guide}'
