"""The table of slots: who registers a slot adds a case, and every promise of slots is tested on it.

One file per family; each holds ``CASES``.
"""
from . import det_heads, det_necks, det_rcnn, restoration, seg_backbones, seg_heads
from .case import DOWN, UP, C, SlotCase, pyramid

SLOTS = {case.name: case
         for family in (det_rcnn, det_necks, det_heads, seg_heads, seg_backbones, restoration)
         for case in family.CASES}

__all__ = ['DOWN', 'SLOTS', 'UP', 'C', 'SlotCase', 'pyramid']
