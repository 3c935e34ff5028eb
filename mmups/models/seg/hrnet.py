"""mmseg's HRNet with upsamplers in its fusions."""
from typing import Optional

from mmseg.models.backbones import HRNet as HostHRNet

from mmups.models.layers import HRModule, register_slot


@register_slot(HostHRNet)
class SegHRNet(HostHRNet):
    """HRNet whose fusions bring the coarser branches up in steps of x2.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's HRNet.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        for stage in (self.stage2, self.stage3, self.stage4):
            for i, module in enumerate(stage):
                stage[i] = HRModule(module, upsampler)
        self._freeze_stages()
