"""mmdet's FCNMaskHead with an upsampler before its logits.

``forward`` follows mmdet 3.3.0, ``mmdet/models/roi_heads/mask_heads/fcn_mask_head.py``
(Apache-2.0, OpenMMLab); held to it by a parity test.
"""
from typing import Optional

from mmdet.models.roi_heads.mask_heads import FCNMaskHead as HostFCNMaskHead
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler


@register_slot(HostFCNMaskHead)
class FCNMaskHead(HostFCNMaskHead):
    """Mask head whose 14x14 to 28x28 step is an upsampler; the slot has no guide.

    Args:
        upsampler: The method and its arguments, ``upsample_modules[0]``; None: mmdet's
            ``upsample_cfg`` and its weights, unchanged.
        upsample_cfg: mmdet's. Beside an ``upsampler`` only its ``scale_factor`` counts.
        kwargs: As in mmdet's FCNMaskHead.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None,
                 upsample_cfg: Optional[dict] = None, **kwargs):
        upsample_cfg = upsample_cfg or dict(type='deconv', scale_factor=2)
        host_cfg = upsample_cfg if upsampler is None else dict(type=None)
        super().__init__(*args, upsample_cfg=host_cfg, **kwargs)
        self.upsample_modules = ModuleList()
        if upsampler is not None:
            self.upsample_modules.append(
                build_upsampler(upsampler, self.conv_logits.in_channels,
                                scale_factor=upsample_cfg.get('scale_factor', 2)))

    def forward(self, x: Tensor) -> Tensor:
        """RoI features (K, in_channels, h, w) to mask logits (K, classes, s*h, s*w)."""
        if not self.upsample_modules:
            return super().forward(x)
        for conv in self.convs:
            x = conv(x)
        x = self.upsample_modules[0](x)
        # As after mmdet's deconv, so that two linear layers do not meet. What interpolates or
        # samples the convolutions' non-negative output is left as it is.
        if self.convs:
            x = self.relu(x)
        return self.conv_logits(x)
