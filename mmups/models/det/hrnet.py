"""mmdet's HRNet with upsamplers in its fusions."""
from typing import Optional

from mmdet.models.backbones import HRNet as HostHRNet

from mmups.models.layers import HRModule, register_slot


@register_slot(HostHRNet)
class HRNet(HostHRNet):
    """HRNet whose fusions bring the coarser branches up in steps of x2.

    With an upsampler images may have any size.

    Args:
        upsampler: The method and its arguments; None: nearest, as in mmdet.
        kwargs: As in mmdet's HRNet.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        for stage in (self.stage2, self.stage3, self.stage4):
            for i, module in enumerate(stage):
                stage[i] = HRModule(module, upsampler)
