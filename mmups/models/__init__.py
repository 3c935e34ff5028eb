"""Upsamplers, and slots for them in the hosts that are installed."""
from mmups.registry import MODELS, register_hosted

from .upsamplers import *  # noqa: F401,F403

#: Host package -> (module with its slots, the slots' names)
SLOTS = {
    'mmdet': ('mmups.models.det', (
        'BFP', 'BoxInstMaskHead', 'CSPNeXtPAFPN', 'CTResNetNeck', 'CondInstMaskHead',
        'DecoupledSOLOHead', 'DecoupledSOLOLightHead', 'DyHead', 'DynamicMaskHead',
        'FCNMaskHead', 'FPG', 'FPN', 'FPN_DropBlock', 'FeatureRelayHead', 'FusedSemanticHead',
        'HRFPN', 'HRNet', 'HTCMaskHead', 'HourglassNet', 'MSDeformAttnPixelDecoder',
        'NASFCOS_FPN', 'NASFPN', 'PAFPN', 'PanopticFPNHead', 'PixelDecoder', 'RFP',
        'RTMDetInsHead', 'RTMDetInsSepBNHead', 'SCNetMaskHead', 'SCNetSemanticHead', 'SOLOHead',
        'SOLOV2Head', 'TransformerEncoderPixelDecoder', 'YOLACTProtonet', 'YOLOV3Neck',
        'YOLOXPAFPN')),
    'mmseg': ('mmups.models.seg', (
        'BiSeNetV1', 'BiSeNetV2', 'DDRNet', 'ERFNet', 'FastSCNN', 'Feature2Pyramid', 'ICNeck',
        'JPU', 'MultiLevelNeck', 'PIDNet', 'STDCContextPathNet', 'SegFPN', 'SegHRNet',
        'SegformerHead', 'UNet')),
}
for _host, (_module, _names) in SLOTS.items():
    register_hosted(MODELS, _host, _module, _names)
