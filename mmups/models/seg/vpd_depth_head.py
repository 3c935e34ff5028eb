"""mmseg's VPDDepthHead with upsamplers at the end of its decoder.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/vpd_depth_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import torch
from mmseg.models.decode_heads import VPDDepthHead as HostVPDDepthHead
from torch import Tensor, nn

from mmups.models.layers import Step, UpsamplingSlot, register_slot


@register_slot(HostVPDDepthHead)
class VPDDepthHead(UpsamplingSlot, HostVPDDepthHead):
    """VPD's depth head, whose last two x2 steps are upsamplers, ``upsample_modules[0:2]``.

    2 takes the coarsest map to the size of the next finer one. The decoder's transposed
    convolutions, which change the channels, stay.

    Args:
        args, kwargs: As in :class:`UpsamplingSlot` and mmseg's VPDDepthHead.
        fusion_upsampler: The method and its arguments for the coarsest map; None: nearest, as in
            mmseg.
    """

    optional = ('fusion_upsampler', )
    guide = 'no; the next finer input'

    def host_steps(self) -> list[Step]:
        last = Step(self.decoder.conv_layers[0].out_channels, host=dict(mode='bilinear'))
        return [last, last, Step(self.in_channels[3], self.in_channels[2],
                                 key='fusion_upsampler', host=dict(mode='nearest'))]

    def adapt(self) -> None:
        self.decoder.up_sample = nn.Identity()

    def forward(self, x: tuple[Tensor, ...]) -> Tensor:
        """Four maps, finest first, to depths."""
        first, second, fusion = self.upsample_modules
        coarsest = fusion(x[3], x[2], x[2].shape[2:])
        x = torch.cat([self.conv1(x[0]), self.conv2(x[1]), x[2], coarsest], dim=1)
        x = self.conv_aggregation(x)
        rows, columns = self.fmap_border
        x = x[:, :, :x.shape[2] - rows, :x.shape[3] - columns].contiguous()
        x = second(first(self.decoder(x)))
        return torch.sigmoid(self.depth_pred_layer(x)) * self.max_depth
