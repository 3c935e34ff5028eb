"""Slots in mmdet's classes; imported only where mmdet is installed."""
from .condinst_head import BoxInstMaskHead, CondInstMaskHead
from .fcn_mask_head import DynamicMaskHead, FCNMaskHead, HTCMaskHead, SCNetMaskHead
from .feature_relay_head import FeatureRelayHead
from .fpn import FPN
from .fused_semantic_head import FusedSemanticHead, SCNetSemanticHead
from .hourglass import HourglassNet
from .hrnet import HRNet
from .panoptic_fpn_head import ConvUpsample, PanopticFPNHead
from .pixel_decoder import MSDeformAttnPixelDecoder, PixelDecoder, TransformerEncoderPixelDecoder
from .rtmdet_ins_head import RTMDetInsHead, RTMDetInsSepBNHead
from .solo_heads import DecoupledSOLOHead, DecoupledSOLOLightHead, SOLOHead, SOLOV2Head
from .yolact_protonet import YOLACTProtonet

__all__ = [
    'FPN', 'BoxInstMaskHead', 'CondInstMaskHead', 'ConvUpsample', 'DecoupledSOLOHead',
    'DecoupledSOLOLightHead', 'DynamicMaskHead', 'FCNMaskHead', 'FeatureRelayHead',
    'FusedSemanticHead', 'HRNet', 'HTCMaskHead', 'HourglassNet', 'MSDeformAttnPixelDecoder',
    'PanopticFPNHead', 'PixelDecoder', 'RTMDetInsHead', 'RTMDetInsSepBNHead', 'SCNetMaskHead',
    'SCNetSemanticHead', 'SOLOHead', 'SOLOV2Head', 'TransformerEncoderPixelDecoder',
    'YOLACTProtonet'
]
