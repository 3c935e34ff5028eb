"""Slots in mmseg's classes; imported only where one is asked for."""
# ruff: noqa: E402
from mmups.hosts import import_host

import_host('mmseg.models', __name__)

from .bisenet import BiSeNetV1, BiSeNetV2
from .ddrnet import DDRNet
from .dpt_head import DPTHead
from .erfnet import ERFNet
from .fast_scnn import FastSCNN
from .fpn import SegFPN
from .fpn_head import FPNHead
from .ham_head import LightHamHead
from .hrnet import SegHRNet
from .icneck import ICNeck
from .jpu import JPU
from .lraspp_head import LRASPPHead
from .pidnet import PIDNet
from .plain_heads import (
                          ANNHead,
                          APCHead,
                          ASPPHead,
                          CCHead,
                          DAHead,
                          DDRHead,
                          DepthwiseSeparableFCNHead,
                          DMHead,
                          DNLHead,
                          EMAHead,
                          EncHead,
                          FCNHead,
                          GCHead,
                          ISAHead,
                          NLHead,
                          OCRHead,
                          PIDHead,
                          PSAHead,
                          PSPHead,
                          STDCHead,
)
from .segformer_head import SegformerHead
from .sep_aspp_head import DepthwiseSeparableASPPHead
from .setr_heads import SETRMLAHead, SETRUPHead
from .stdc import STDCContextPathNet
from .unet import UNet
from .uper_head import UPerHead
from .vit_necks import Feature2Pyramid, MultiLevelNeck
from .vpd_depth_head import VPDDepthHead

__all__ = [
    'ANNHead', 'APCHead', 'ASPPHead', 'BiSeNetV1', 'BiSeNetV2', 'CCHead', 'DAHead', 'DDRHead',
    'DDRNet', 'DMHead', 'DNLHead', 'DPTHead', 'DepthwiseSeparableASPPHead',
    'DepthwiseSeparableFCNHead', 'EMAHead', 'ERFNet', 'EncHead', 'FCNHead', 'FPNHead', 'FastSCNN',
    'Feature2Pyramid', 'GCHead', 'ICNeck', 'ISAHead', 'JPU', 'LRASPPHead', 'LightHamHead',
    'MultiLevelNeck', 'NLHead', 'OCRHead', 'PIDHead', 'PIDNet', 'PSAHead', 'PSPHead', 'SETRMLAHead',
    'SETRUPHead', 'STDCContextPathNet', 'STDCHead', 'SegFPN', 'SegHRNet', 'SegformerHead', 'UNet',
    'UPerHead', 'VPDDepthHead'
]
