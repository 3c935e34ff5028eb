"""Metrics: pure functions on arrays, and mmengine metrics that hold their state."""
from mmups.registry import METRICS

from .boundary import (
    band_width,
    boundary_band,
    boundary_intersect_and_union,
    split_intersect_and_union,
)
from .boundary_metric import BoundaryIoUMetric
from .depth import EIGEN_CROP, depth_errors, valid_depth
from .depth_metric import DepthMetric
from .image_quality import psnr, round_to_8_bit, ssim
from .image_quality_metric import PSNR, SSIM
from .overlap import (
    Stability,
    accuracy,
    class_iou,
    intersect_and_union,
    mean_iou,
    prediction_stability,
)
from .panoptic_metric import BoundaryPanopticMetric, PanopticMetric
from .panoptic_quality import Quality, class_quality, match_segments, mean_quality
from .shift import equivariance_error, shift_agreements, shift_consistency, shift_image

METRICS.register_hosted('mmdet.evaluation', 'mmups.evaluation.coco_metric',
                        ('BoundaryCocoMetric', ))

__all__ = [
    'BoundaryIoUMetric', 'BoundaryPanopticMetric', 'DepthMetric', 'EIGEN_CROP', 'PSNR',
    'PanopticMetric', 'Quality', 'SSIM', 'Stability', 'accuracy', 'band_width', 'boundary_band',
    'boundary_intersect_and_union', 'class_iou', 'class_quality', 'depth_errors',
    'equivariance_error', 'intersect_and_union', 'match_segments', 'mean_iou', 'mean_quality',
    'prediction_stability', 'psnr', 'round_to_8_bit', 'shift_agreements', 'shift_consistency',
    'shift_image', 'split_intersect_and_union', 'ssim', 'valid_depth'
]
