"""Disparity from two views: the example of a project that uses mmups without being part of it."""
from .attack import attack_views
from .datasets import Motorcycle, PhotoWarps
from .disparity import disparity_errors, occlusions
from .metric import DisparityMetric
from .network import CorrelationNet
from .warps import Layer, Pair, load_photos, random_layers, render

__all__ = ['CorrelationNet', 'DisparityMetric', 'Layer', 'Motorcycle', 'Pair', 'PhotoWarps',
           'attack_views', 'disparity_errors', 'load_photos', 'occlusions', 'random_layers',
           'render']
