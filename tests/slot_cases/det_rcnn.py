"""The slots of Faster R-CNN, Mask R-CNN and Panoptic FPN. Options of their hosts are gone through
in tests/models/det."""
from .case import C, SlotCase

BACKBONE = (8, 16, 24, 32)
FPN = dict(type='mmups.FPN', in_channels=list(BACKBONE), out_channels=C)

CASES = [
    SlotCase('FPN', 'mmdet.FPN', dict(FPN, num_outs=5), BACKBONE, 3,
             same_as_host=dict(mode='nearest')),
    SlotCase('FPN-retina', 'mmdet.FPN',
             dict(FPN, start_level=1, add_extra_convs='on_output', num_outs=5), BACKBONE, 2,
             same_as_host=dict(mode='nearest'),
             finest=lambda maps: maps[1].shape[2:]),
    SlotCase('FPN-p6', 'mmdet.FPN', dict(FPN, num_outs=5, top_down_extra_levels=True), BACKBONE, 4,
             parity=False),
    SlotCase('FCNMaskHead', 'mmdet.FCNMaskHead',
             dict(type='mmups.FCNMaskHead', num_convs=1, in_channels=8, conv_out_channels=C,
                  num_classes=3), (8, ), 1, guided=False, takes_init_cfg=False,
             finest=lambda maps: tuple(2 * n for n in maps[0].shape[2:]),
             call=lambda module, maps: module(maps[0])),
    SlotCase('PanopticFPNHead', 'mmdet.PanopticFPNHead',
             dict(type='mmups.PanopticFPNHead', num_things_classes=3, num_stuff_classes=4,
                  in_channels=8, inner_channels=C), (8, ) * 4, 6, guided=False, odd_size=None,
             same_as_host=dict(mode='bilinear')),
]
