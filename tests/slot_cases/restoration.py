"""The networks for restoration, whose steps halve the channels to a multiple of 32."""
from .case import C, SlotCase


def on_image(module, maps):
    return module(maps[0])


CASES = [
    SlotCase('NAFNet', 'mmups.NAFNet',
             dict(type='mmups.NAFNet', mid_channels=C, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
             (3, ), 2, parity=False, call=on_image, takes_init_cfg=False),
    SlotCase('Restormer', 'mmups.Restormer',
             dict(type='mmups.Restormer', dim=C, num_blocks=[1] * 4, num_refinement_blocks=1),
             (3, ), 3, parity=False, size=(16, 24), odd_size=(13, 21), call=on_image,
             takes_init_cfg=False),
]
