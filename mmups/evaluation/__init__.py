"""Metrics: pure functions on arrays, and mmengine metrics that hold their state."""
from .panoptic_metric import PanopticMetric
from .panoptic_quality import Quality, class_quality, match_segments, mean_quality

__all__ = ['PanopticMetric', 'Quality', 'class_quality', 'match_segments',
           'mean_quality']
