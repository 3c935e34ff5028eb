"""mmdet's CTResNetNeck (CenterNet) with upsamplers instead of its transposed convolutions."""
from collections.abc import Sequence
from typing import Optional

from mmdet.models.necks import CTResNetNeck as HostCTResNetNeck
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostCTResNetNeck)
class CTResNetNeck(HostCTResNetNeck):
    """Decoder of CenterNet whose x2 steps are upsamplers; the slot has no guide.

    Of each of mmdet's transposed convolutions the normalisation and the activation remain.

    Args:
        upsampler: The method and its arguments; None: mmdet's transposed convolutions.
        kwargs: As in mmdet's CTResNetNeck; ``num_deconv_kernels`` has no effect beside an
            ``upsampler``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = ModuleList()
        if upsampler is not None:
            for layer in self.deconv_layers[1::2]:
                self.upsample_modules.append(build_upsampler(upsampler, layer.out_channels))
                layer.conv = nn.Identity()

    def init_weights(self) -> None:
        """As in mmdet, which resets every convolution, and then the upsamplers'."""
        super().init_weights()
        for upsample in self.upsample_modules:
            upsample.init_weights()

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor]:
        """The coarsest of the backbone's maps, upsampled."""
        if not self.upsample_modules:
            return super().forward(x)
        out = x[-1]
        for conv, normalise, upsample in zip(self.deconv_layers[::2], self.deconv_layers[1::2],
                                             self.upsample_modules):
            out = normalise(upsample(conv(out)))
        return (out, )
