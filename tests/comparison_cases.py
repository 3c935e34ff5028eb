"""Small comparisons on the first scenes of DigitScenes."""
from pathlib import Path

from mmups.engine.cli import read_config
from mmups.engine.comparison.check import checked

ROOT = Path(__file__).parents[1]
SEG = str(ROOT / 'configs/unet/unet-s4-d8_fcn_swap_1xb8-600it_digit-scenes-128x128.py')
DET = str(ROOT / 'configs/mask_rcnn/mask-rcnn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py')
PANOPTIC = str(ROOT / 'configs/panoptic_fpn/'
               'panoptic-fpn_r18_fpn-dysample_1xb8-8e_digit-scenes-128x128.py')
#: --cfg-options of SEG.
TINY = {
    'model.backbone.base_channels': 8, 'model.decode_head.in_channels': 8,
    'model.decode_head.channels': 8, 'model.auxiliary_head': None, 'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 100, 'param_scheduler.total_steps': 4,
    'default_hooks.checkpoint.interval': 2, 'default_hooks.logger.interval': 1,
    'train_dataloader.batch_size': 2, 'log_level': 'WARNING',
    'test_dataloader.dataset.indices': 4,
    **{f'{loader}.{key}': value for loader in ('train_dataloader', 'val_dataloader',
                                               'test_dataloader')
       for key, value in dict(num_workers=0, persistent_workers=False).items()}}


def tiny(**options):
    """The config of a small UNet that trains for four iterations."""
    cfg = read_config(SEG)
    cfg.merge_from_dict({**TINY, **options})
    return cfg


def comparison_in(folder, names=('bilinear', 'dysample'), seeds=(0, ), cfg=None, **kwargs):
    """A comparison of the small UNet."""
    return checked(folder, SEG, cfg or tiny(), names, seeds, **kwargs)
