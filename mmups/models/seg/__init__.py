"""Slots in mmseg's classes; imported only where mmseg is installed."""
from .bisenet import BiSeNetV1, BiSeNetV2
from .ddrnet import DDRNet
from .erfnet import ERFNet
from .fast_scnn import FastSCNN
from .fpn import SegFPN
from .hrnet import SegHRNet
from .icneck import ICNeck
from .jpu import JPU
from .pidnet import PIDNet
from .segformer_head import SegformerHead
from .stdc import STDCContextPathNet
from .unet import UNet
from .vit_necks import Feature2Pyramid, MultiLevelNeck

__all__ = [
    'BiSeNetV1', 'BiSeNetV2', 'DDRNet', 'ERFNet', 'FastSCNN', 'Feature2Pyramid', 'ICNeck', 'JPU',
    'MultiLevelNeck', 'PIDNet', 'STDCContextPathNet', 'SegFPN', 'SegHRNet', 'SegformerHead', 'UNet'
]
