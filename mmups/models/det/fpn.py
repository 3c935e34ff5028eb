"""mmdet's FPN with an upsampler in its top-down path.

``HostWithExtraLevels`` follows mmdet 3.3.0, ``mmdet/models/necks/fpn_carafe.py`` (Apache-2.0,
OpenMMLab); written anew and held to it by parity tests.
"""
import inspect
from typing import Any

from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN as HostFPN

from mmups.models.layers import FPNPass, UpsamplingFPN, register_slot
from mmups.models.upsamplers.keys import rename_keys

#: What ``upsample_modules`` is called in the checkpoints of FreqFusion's authors.
FOREIGN_NAME = 'alignment'


class StepwiseFPN(FPNPass, HostFPN):
    """mmdet's FPN with the pass of its slots."""


class HostWithExtraLevels(StepwiseFPN):
    """mmdet's FPN with laterals for its extra levels, those of FPN_CARAFE.

    Args:
        args, kwargs: As in mmdet's FPN.
        top_down_extra_levels: As in :class:`FPN`.
    """

    def __init__(self, *args: Any, top_down_extra_levels: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not top_down_extra_levels:
            return
        if self.add_extra_convs:
            raise ValueError('top_down_extra_levels=True already makes the extra levels; set '
                             f'add_extra_convs=False, got {self.add_extra_convs!r}')
        given = inspect.signature(HostFPN).bind(*args, **kwargs).arguments
        convs = {key: given.get(key) for key in ('conv_cfg', 'norm_cfg', 'act_cfg')}
        convs['inplace'] = False
        lateral = {**convs, **(dict(norm_cfg=None) if self.no_norm_on_lateral else {})}
        channels = self.in_channels[self.backbone_end_level - 1]
        while len(self.lateral_convs) < self.num_outs:
            self.lateral_convs.append(
                ConvModule(channels, self.out_channels, 3, stride=2, padding=1, **lateral))
            channels = self.out_channels
            self.fpn_convs.append(ConvModule(channels, channels, 3, padding=1, **convs))


@register_slot(HostFPN)
class FPN(UpsamplingFPN, HostWithExtraLevels):
    """Feature pyramid network whose top-down steps are upsamplers.

    Args:
        args, kwargs: As in :class:`UpsamplingSlot` and mmdet's FPN.
        top_down_extra_levels: False: levels beyond the backbone's are made from the finished
            pyramid, as in mmdet's FPN. True: they are laterals of their own (a 3x3 convolution
            of stride 2) and take part in the top-down path, as in mmdet's FPN_CARAFE. With
            ``num_outs=5`` that makes 5 laterals and 4 upsamplers, the neck behind the numbers of
            Faster R-CNN and Mask R-CNN in the DySample and CARAFE papers.

    Raises:
        ValueError: ``top_down_extra_levels`` together with ``add_extra_convs``; a checkpoint of
            the other topology; not as many maps as ``in_channels``.
    """

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        rename_keys(state_dict, f'{prefix}{FOREIGN_NAME}.', f'{prefix}upsample_modules.')
        laterals = [value for key, value in state_dict.items()
                    if key.startswith(f'{prefix}lateral_convs.') and value.dim() == 4]
        # The lateral of a backbone level is 1x1, that of an extra level 3x3.
        extra = any(weight.shape[-1] == 3 for weight in laterals)
        if laterals and extra != (self.lateral_convs[-1].kernel_size == (3, 3)):
            raise ValueError(
                f'the checkpoint has {len(laterals)} lateral convolutions at "{prefix}" and this '
                f'FPN has {len(self.lateral_convs)}: in the checkpoint the extra levels '
                f'{"" if extra else "do not "}take part in the top-down path. Set '
                f'top_down_extra_levels={extra} in the neck to load it')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
