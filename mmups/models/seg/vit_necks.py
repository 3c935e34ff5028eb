"""mmseg's necks that make a pyramid of a plain ViT's maps, with upsamplers.

``MultiLevelNeck.forward`` follows mmseg 1.2.2, ``mmseg/models/necks/multilevel_neck.py``
(Apache-2.0, OpenMMLab); held to it by a parity test. All input maps have one size, so that there is
no guide but the image, where the backbone returns it (:class:`mmups.models.layers.WithImage`).
"""
from functools import partial

from mmseg.models import necks as hosts
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmups.models.layers import (
    Step,
    UpsamplingSlot,
    register_slot,
    split_image,
    upsample_by_image,
)

GUIDE = 'the image, for methods that take it'


@register_slot(hosts.Feature2Pyramid)
class Feature2Pyramid(UpsamplingSlot, hosts.Feature2Pyramid):
    """Pyramid with upsamplers instead of transposed convolutions.

    ``upsample_modules`` holds those of x4, two with mmseg's normalisation and GELU in between,
    and then that of x2.
    """

    decided_by = ('rescales', )
    guide = GUIDE
    host_draws_all = True

    def host_steps(self) -> list[Step]:
        return [Step(layer.in_channels, image=True) for layer in self.modules()
                if isinstance(layer, nn.ConvTranspose2d)]

    def adapt(self) -> None:
        for layers in (self.upsample_4x, self.upsample_2x):
            if layers is not None:
                layers[0] = layers[-1] = nn.Identity()

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps (N, embed_dim, h, w) to maps of ``rescales`` times their size."""
        inputs, image = split_image(inputs, self.upsample_modules)
        self.check_maps(inputs, len(self.rescales))
        if not self.swapped:
            return super().forward(inputs)
        *x4, x2 = [partial(upsample_by_image, image=image, upsample=upsample)
                   for upsample in self.upsample_modules]
        if not x4:
            return super().forward([x2(inputs[0]), *inputs[1:]])
        finest, *outs = super().forward([x4[0](inputs[0]), x2(inputs[1]), *inputs[2:]])
        return (x4[1](finest), *outs)


@register_slot(hosts.MultiLevelNeck)
class MultiLevelNeck(UpsamplingSlot, hosts.MultiLevelNeck):
    """Neck with one upsampler for each whole number above 1 in ``scales``, x4 in one step.

    Other scales are resized as in mmseg.
    """

    decided_by = ('scales', )
    guide = GUIDE
    host_draws_all = True

    def host_steps(self) -> list[Step]:
        self._factors = [scale for scale in self.scales if scale > 1 and scale == int(scale)]
        return [Step(self.out_channels, factor=factor, host=dict(mode='bilinear'), image=True)
                for factor in self._factors]

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps of one size, or a single one, to a map per scale."""
        inputs, image = split_image(inputs, self.upsample_modules)
        self.check_maps(inputs, len(self.in_channels))
        maps = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        if len(maps) == 1:
            maps = maps * self.num_outs
        outs, upsample_modules = [], iter(self.upsample_modules)
        for x, scale, conv in zip(maps, self.scales, self.convs):
            if scale in self._factors:
                x = upsample_by_image(x, image, next(upsample_modules))
            else:
                x = resize(x, scale_factor=scale, mode='bilinear')
            outs.append(conv(x))
        return tuple(outs)
