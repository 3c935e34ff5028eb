"""Slots in mmseg's classes; imported only where mmseg is installed."""
from .segformer_head import SegformerHead

__all__ = ['SegformerHead']
