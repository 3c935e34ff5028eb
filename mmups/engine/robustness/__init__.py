"""Robustness of a model of mmseg or mmdet, by its config's own data and metrics."""
from .loop import RobustnessTestLoop

__all__ = ['RobustnessTestLoop']
