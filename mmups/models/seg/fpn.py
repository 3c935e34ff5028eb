"""mmseg's FPN with an upsampler in its top-down path."""
from mmseg.models.necks import FPN as HostFPN
from mmseg.models.utils import resize

from mmups.models.layers import FPNPass, UpsamplingFPN, register_slot


@register_slot(HostFPN)
class SegFPN(UpsamplingFPN, FPNPass, HostFPN):
    """Feature pyramid network whose top-down steps are upsamplers.

    ``end_level`` is exclusive, unlike mmdet's.
    """

    resize = staticmethod(resize)
