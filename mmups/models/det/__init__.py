"""Slots in mmdet's classes."""
from mmups.registry import MODELS

#: File -> the slots in it, which are imported, and mmdet with them, when one is asked for.
FILES = dict(
    bfp='BFP',
    condinst_head='CondInstMaskHead BoxInstMaskHead',
    ct_resnet_neck='CTResNetNeck',
    dyhead='DyHead',
    fcn_mask_head='FCNMaskHead HTCMaskHead SCNetMaskHead DynamicMaskHead',
    feature_relay_head='FeatureRelayHead',
    fpg='FPG',
    fpn='FPN',
    fpn_variants='PAFPN FPN_DropBlock RFP FPN_CARAFE',
    fused_semantic_head='FusedSemanticHead SCNetSemanticHead',
    hourglass='HourglassNet',
    hrfpn='HRFPN',
    hrnet='HRNet',
    nas_necks='NASFPN NASFCOS_FPN',
    panoptic_fpn_head='PanopticFPNHead',
    pixel_decoder='PixelDecoder TransformerEncoderPixelDecoder MSDeformAttnPixelDecoder',
    rtmdet_ins_head='RTMDetInsHead RTMDetInsSepBNHead',
    solo_heads='SOLOV2Head SOLOHead DecoupledSOLOHead DecoupledSOLOLightHead',
    yolact_protonet='YOLACTProtonet',
    yolo_necks='YOLOXPAFPN CSPNeXtPAFPN YOLOV3Neck',
)
__getattr__, __all__ = MODELS.register_package(__name__, 'mmdet.models', FILES)
