"""Slots in mmdet's classes; imported only where mmdet is installed."""
from .bfp import BFP
from .ct_resnet_neck import CTResNetNeck
from .dyhead import DyHead
from .fcn_mask_head import FCNMaskHead
from .fpg import FPG
from .fpn import FPN
from .fpn_variants import PAFPN, RFP, FPN_DropBlock
from .hrfpn import HRFPN
from .nas_necks import NASFCOS_FPN, NASFPN
from .panoptic_fpn_head import ConvUpsample, PanopticFPNHead
from .yolo_necks import YOLOXPAFPN, CSPNeXtPAFPN, YOLOV3Neck

__all__ = [
    'BFP', 'CSPNeXtPAFPN', 'CTResNetNeck', 'DyHead', 'FCNMaskHead', 'FPG', 'FPN', 'FPN_DropBlock',
    'HRFPN', 'NASFCOS_FPN', 'NASFPN', 'PAFPN', 'RFP', 'YOLOV3Neck', 'YOLOXPAFPN', 'ConvUpsample',
    'PanopticFPNHead'
]
