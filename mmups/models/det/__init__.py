"""Slots in mmdet's classes; imported only where mmdet is installed."""
from .fcn_mask_head import (DynamicMaskHead, FCNMaskHead, HTCMaskHead, SCNetMaskHead,
                            UpsamplingMaskHead)
from .fpn import FPN
from .panoptic_fpn_head import ConvUpsample, PanopticFPNHead
from .pixel_decoder import (MSDeformAttnPixelDecoder, PixelDecoder,
                            TransformerEncoderPixelDecoder)

__all__ = [
    'ConvUpsample', 'DynamicMaskHead', 'FCNMaskHead', 'FPN', 'HTCMaskHead',
    'MSDeformAttnPixelDecoder', 'PanopticFPNHead', 'PixelDecoder', 'SCNetMaskHead',
    'TransformerEncoderPixelDecoder', 'UpsamplingMaskHead'
]
