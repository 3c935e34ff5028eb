"""mmdet's HRNet with upsamplers in its fusions."""
from mmdet.models.backbones import HRNet as HostHRNet

from mmups.models.layers import UpsamplingHRNet

HRNet = UpsamplingHRNet.of(
    HostHRNet, __name__, 'HRNet whose fusions bring the coarser branches up in steps of x2.')
