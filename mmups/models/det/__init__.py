"""Slots in mmdet's classes; imported only where mmdet is installed."""
from .fcn_mask_head import FCNMaskHead
from .fpn import FPN
from .panoptic_fpn_head import ConvUpsample, PanopticFPNHead

__all__ = ['FCNMaskHead', 'FPN', 'ConvUpsample', 'PanopticFPNHead']
