"""mmseg's necks that make a pyramid of a plain ViT's maps, with upsamplers.

``MultiLevelNeck.forward`` follows mmseg 1.2.2, ``mmseg/models/necks/multilevel_neck.py``
(Apache-2.0, OpenMMLab); held to it by a parity test. All input maps have one size, so that there is
no guide.
"""
from typing import Optional

from mmengine.model import ModuleList
from mmseg.models.necks import Feature2Pyramid as HostFeature2Pyramid
from mmseg.models.necks import MultiLevelNeck as HostMultiLevelNeck
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmups.models.layers import NoSite, register_slot
from mmups.models.upsamplers import build_upsampler


class _InitialWeights:
    """Mixin before a host that is no mmengine module: its upsamplers are initialised last."""

    def init_weights(self) -> None:
        if hasattr(super(), 'init_weights'):
            super().init_weights()
        for upsample in self.upsample_modules:
            upsample.init_weights()


@register_slot(HostFeature2Pyramid)
class Feature2Pyramid(_InitialWeights, HostFeature2Pyramid):
    """Pyramid whose transposed convolutions are upsamplers.

    ``upsample_modules`` holds those of x4, two with mmseg's normalisation and GELU in between,
    and then that of x2.

    Args:
        embed_dim: Channels of every map.
        upsampler: The method and its arguments; None: mmseg's transposed convolutions.
        kwargs: As in mmseg's Feature2Pyramid.
    """

    def __init__(self, embed_dim: int, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(embed_dim, *args, **kwargs)
        self.upsample_modules = ModuleList()
        if upsampler is None:
            return
        steps = [self.upsample_2x] if self.upsample_4x is None else [self.upsample_4x,
                                                                     self.upsample_2x]
        for step in steps:
            for i, layer in enumerate(step):
                if isinstance(layer, nn.ConvTranspose2d):
                    step[i] = nn.Identity()
                    self.upsample_modules.append(build_upsampler(upsampler, embed_dim))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps (N, embed_dim, h, w) to maps of ``rescales`` times their size."""
        if not self.upsample_modules:
            return super().forward(inputs)
        inputs = list(inputs)
        *x4, x2 = self.upsample_modules
        if not x4:
            inputs[0] = x2(inputs[0])
            return super().forward(inputs)
        inputs[:2] = x4[0](inputs[0]), x2(inputs[1])
        finest, *outs = super().forward(inputs)
        return (x4[1](finest), *outs)


@register_slot(HostMultiLevelNeck)
class MultiLevelNeck(_InitialWeights, HostMultiLevelNeck):
    """Neck with one upsampler for each whole number above 1 in ``scales``, x4 in one step.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's MultiLevelNeck. Other scales are resized as there.

    Raises:
        NoSite: ``upsampler``, and no such scale.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        factors = [int(scale) for scale in self.scales if self._upsamples(scale)]
        if upsampler is not None and not factors:
            raise NoSite(f'scales={self.scales} has no whole number above 1: there is nothing to '
                         'upsample')
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or dict(mode='bilinear'), self.out_channels,
                            scale_factor=factor)
            for factor in factors)

    @staticmethod
    def _upsamples(scale: float) -> bool:
        return scale > 1 and scale == int(scale)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps of one size, or a single one, to a map per scale."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this neck was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        if len(maps) == 1:
            maps = maps * self.num_outs
        upsample_modules = iter(self.upsample_modules)
        outs = []
        for x, scale, conv in zip(maps, self.scales, self.convs):
            if self._upsamples(scale):
                x = next(upsample_modules)(x)
            else:
                x = resize(x, scale_factor=scale, mode='bilinear')
            outs.append(conv(x))
        return tuple(outs)
