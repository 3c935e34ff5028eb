"""Slots in mmdet's classes; imported only where one is asked for."""
# ruff: noqa: E402
from mmups.hosts import import_host

import_host('mmdet.models', __name__)

from .bfp import BFP
from .condinst_head import BoxInstMaskHead, CondInstMaskHead
from .ct_resnet_neck import CTResNetNeck
from .dyhead import DyHead
from .fcn_mask_head import DynamicMaskHead, FCNMaskHead, HTCMaskHead, SCNetMaskHead
from .feature_relay_head import FeatureRelayHead
from .fpg import FPG
from .fpn import FPN
from .fpn_variants import FPN_CARAFE, PAFPN, RFP, FPN_DropBlock
from .fused_semantic_head import FusedSemanticHead, SCNetSemanticHead
from .hourglass import HourglassNet
from .hrfpn import HRFPN
from .hrnet import HRNet
from .nas_necks import NASFCOS_FPN, NASFPN
from .panoptic_fpn_head import ConvUpsample, PanopticFPNHead
from .pixel_decoder import MSDeformAttnPixelDecoder, PixelDecoder, TransformerEncoderPixelDecoder
from .rtmdet_ins_head import RTMDetInsHead, RTMDetInsSepBNHead
from .solo_heads import DecoupledSOLOHead, DecoupledSOLOLightHead, SOLOHead, SOLOV2Head
from .yolact_protonet import YOLACTProtonet
from .yolo_necks import YOLOXPAFPN, CSPNeXtPAFPN, YOLOV3Neck

__all__ = [
    'BFP', 'BoxInstMaskHead', 'CSPNeXtPAFPN', 'CTResNetNeck', 'CondInstMaskHead',
    'ConvUpsample', 'DecoupledSOLOHead', 'DecoupledSOLOLightHead', 'DyHead', 'DynamicMaskHead',
    'FCNMaskHead', 'FPG', 'FPN', 'FPN_CARAFE', 'FPN_DropBlock', 'FeatureRelayHead',
    'FusedSemanticHead', 'HRFPN', 'HRNet', 'HTCMaskHead', 'HourglassNet',
    'MSDeformAttnPixelDecoder', 'NASFCOS_FPN', 'NASFPN', 'PAFPN', 'PanopticFPNHead',
    'PixelDecoder', 'RFP', 'RTMDetInsHead', 'RTMDetInsSepBNHead', 'SCNetMaskHead',
    'SCNetSemanticHead', 'SOLOHead', 'SOLOV2Head', 'TransformerEncoderPixelDecoder',
    'YOLACTProtonet', 'YOLOV3Neck', 'YOLOXPAFPN'
]
