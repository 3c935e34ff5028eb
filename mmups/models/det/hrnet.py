"""mmdet's HRNet with upsamplers in its fusions."""
from mmdet.models.backbones import HRNet as HostHRNet

from mmups.models.layers import UpsamplingHRNet, register_slot


@register_slot(HostHRNet)
class HRNet(UpsamplingHRNet, HostHRNet):
    """HRNet whose fusions bring the coarser branches up in steps of x2.

    With an upsampler images may have any size.
    """
