"""mmdet's CTResNetNeck (CenterNet) with upsamplers instead of its transposed convolutions."""
from collections.abc import Sequence

from mmdet.models.necks import CTResNetNeck as HostCTResNetNeck
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, register_slot


@register_slot(HostCTResNetNeck)
class CTResNetNeck(UpsamplingSlot, HostCTResNetNeck):
    """Decoder of CenterNet whose x2 steps are upsamplers.

    Of each of mmdet's transposed convolutions the normalisation and the activation remain, and
    ``num_deconv_kernels`` has no effect beside an ``upsampler``.
    """

    host_draws_all = True

    def host_steps(self) -> list[Step]:
        return [Step(layer.out_channels) for layer in self.deconv_layers[1::2]]

    def adapt(self) -> None:
        for layer in self.deconv_layers[1::2]:
            layer.conv = nn.Identity()

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor]:
        """The coarsest of the backbone's maps, however many, upsampled."""
        self.check_maps(x, len(x))
        if not self.swapped:
            return super().forward(x)
        out, layers = x[-1], self.deconv_layers
        for conv, normalise, upsample in zip(layers[::2], layers[1::2], self.upsample_modules):
            out = normalise(upsample(conv(out)))
        return (out, )
