"""mmseg's HRNet with upsamplers in its fusions."""
from mmseg.models.backbones import HRNet as HostHRNet

from mmups.models.layers import UpsamplingHRNet, register_slot


@register_slot(HostHRNet)
class SegHRNet(UpsamplingHRNet, HostHRNet):
    """HRNet whose fusions bring the coarser branches up in steps of x2."""

    def adapt(self) -> None:
        self._freeze_stages()  # the new modules, too
