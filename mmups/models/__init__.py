"""Upsamplers, and slots for them in the hosts, which load when a slot is asked for."""
from mmups.registry import MODELS

from .upsamplers import *  # noqa: F401,F403

#: Host package -> (module with its slots, the slots' names)
SLOTS = {
    'mmdet': ('mmups.models.det', (
        'BFP', 'BoxInstMaskHead', 'CSPNeXtPAFPN', 'CTResNetNeck', 'CondInstMaskHead',
        'DecoupledSOLOHead', 'DecoupledSOLOLightHead', 'DyHead', 'DynamicMaskHead',
        'FCNMaskHead', 'FPG', 'FPN', 'FPN_CARAFE', 'FPN_DropBlock', 'FeatureRelayHead',
        'FusedSemanticHead', 'HRFPN', 'HRNet', 'HTCMaskHead', 'HourglassNet',
        'MSDeformAttnPixelDecoder', 'NASFCOS_FPN', 'NASFPN', 'PAFPN', 'PanopticFPNHead',
        'PixelDecoder', 'RFP', 'RTMDetInsHead', 'RTMDetInsSepBNHead', 'SCNetMaskHead',
        'SCNetSemanticHead', 'SOLOHead', 'SOLOV2Head', 'TransformerEncoderPixelDecoder',
        'YOLACTProtonet', 'YOLOV3Neck', 'YOLOXPAFPN')),
    'mmseg': ('mmups.models.seg', (
        'ANNHead', 'APCHead', 'ASPPHead', 'BiSeNetV1', 'BiSeNetV2', 'CCHead', 'DAHead',
        'DDRHead', 'DDRNet', 'DMHead', 'DNLHead', 'DPTHead', 'DepthwiseSeparableASPPHead',
        'DepthwiseSeparableFCNHead', 'EMAHead', 'ERFNet', 'EncHead', 'FCNHead', 'FPNHead',
        'FastSCNN', 'Feature2Pyramid', 'GCHead', 'ICNeck', 'ISAHead', 'JPU', 'LRASPPHead',
        'LightHamHead', 'MultiLevelNeck', 'NLHead', 'OCRHead', 'PIDHead', 'PIDNet',
        'PSAHead', 'PSPHead', 'SETRMLAHead', 'SETRUPHead', 'STDCContextPathNet', 'STDCHead',
        'SegFPN', 'SegHRNet', 'SegformerHead', 'UNet', 'UPerHead', 'VPDDepthHead')),
}
for _host, (_module, _names) in SLOTS.items():
    MODELS.register_hosted(f'{_host}.models', _module, _names)
