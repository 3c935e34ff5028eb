"""The slots in mmseg's decode heads."""
from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)
HEAD = dict(channels=C, num_classes=5, dropout_ratio=0, norm_cfg=dict(type='BN'))

CASES = [
    SlotCase('SegformerHead', 'mmseg.SegformerHead',
             dict(HEAD, type='mmups.SegformerHead', in_channels=list(BACKBONE),
                  in_index=[0, 1, 2, 3]), BACKBONE, 6, same_as_host=dict(mode='bilinear')),
]
