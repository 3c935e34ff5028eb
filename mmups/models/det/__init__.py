"""Slots in mmdet's classes."""
from mmups.registry import MODELS

#: File -> the slots in it, which are imported, and mmdet with them, when one is asked for.
FILES = dict(
    bfp='BFP',
    condinst_head='BoxInstMaskHead CondInstMaskHead',
    ct_resnet_neck='CTResNetNeck',
    dyhead='DyHead',
    fcn_mask_head='DynamicMaskHead FCNMaskHead HTCMaskHead SCNetMaskHead',
    feature_relay_head='FeatureRelayHead',
    fpg='FPG',
    fpn='FPN',
    fpn_variants='FPN_CARAFE FPN_DropBlock PAFPN RFP',
    fused_semantic_head='FusedSemanticHead SCNetSemanticHead',
    hourglass='HourglassNet',
    hrfpn='HRFPN',
    hrnet='HRNet',
    nas_necks='NASFCOS_FPN NASFPN',
    panoptic_fpn_head='PanopticFPNHead',
    pixel_decoder='MSDeformAttnPixelDecoder PixelDecoder TransformerEncoderPixelDecoder',
    rtmdet_ins_head='RTMDetInsHead RTMDetInsSepBNHead',
    solo_heads='DecoupledSOLOHead DecoupledSOLOLightHead SOLOHead SOLOV2Head',
    yolact_protonet='YOLACTProtonet',
    yolo_necks='CSPNeXtPAFPN YOLOV3Neck YOLOXPAFPN',
)
__getattr__, __all__ = MODELS.register_package(__name__, 'mmdet.models', FILES)
