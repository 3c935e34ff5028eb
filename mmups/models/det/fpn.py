"""mmdet's FPN with an upsampler in its top-down path.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/fpn.py``, and for the extra levels
``fpn_carafe.py`` (Apache-2.0, OpenMMLab); written anew and held to both by parity tests.
"""
from functools import partial
from typing import Any, Optional, Union

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN as HostFPN
from torch import Tensor, nn

from mmups.models.layers import (
    HostResize,
    Step,
    UpsamplingSlot,
    extra_levels,
    register_slot,
    top_down,
)


class UpsamplingFPN(UpsamplingSlot):
    """Base of the slots in mmdet's FPN and its variants.

    ``upsample_modules[i]`` takes level i+1 to level i.
    """

    decided_by = ('start_level', 'end_level')
    guide = 'the lateral map'

    def host_steps(self) -> list[Step]:
        resize = partial(HostResize, F.interpolate, self.upsample_cfg)
        return [Step(self.out_channels, self.out_channels, host=resize)
                for _ in self.lateral_convs[1:]]


class StepwiseFPN(HostFPN):
    """The pass of mmdet's FPN in a slot, in steps that its variants override."""

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        self.check_maps(inputs, len(self.in_channels))
        laterals = self.merge(laterals_of(self, inputs))
        outs = self.finish(laterals)
        return (*outs, *extra_levels(self, inputs, laterals, outs))

    def merge(self, laterals: list[Tensor]) -> list[Tensor]:
        return top_down(laterals, self.upsample_modules)

    def finish(self, laterals: list[Tensor]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.fpn_convs, laterals)]


def laterals_of(neck: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """One lateral map per convolution; those of extra levels are made one from the other."""
    laterals = [conv(x) for conv, x in zip(neck.lateral_convs, inputs[neck.start_level:])]
    x = inputs[neck.backbone_end_level - 1]
    for conv in neck.lateral_convs[len(laterals):]:
        x = conv(x)
        laterals.append(x)
    return laterals


class HostWithExtraLevels(StepwiseFPN):
    """mmdet's FPN with laterals for its extra levels, those of FPN_CARAFE.

    Args:
        args, kwargs: As in mmdet's FPN, and so are the arguments that are named here.
        top_down_extra_levels: As in :class:`FPN`.
    """

    def __init__(self, in_channels: list[int], out_channels: int, num_outs: int,
                 start_level: int = 0, end_level: int = -1,
                 add_extra_convs: Union[bool, str] = False, relu_before_extra_convs: bool = False,
                 no_norm_on_lateral: bool = False, conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None, act_cfg: Optional[dict] = None, *args: Any,
                 top_down_extra_levels: bool = False, **kwargs: Any):
        super().__init__(in_channels, out_channels, num_outs, start_level, end_level,
                         add_extra_convs, relu_before_extra_convs, no_norm_on_lateral, conv_cfg,
                         norm_cfg, act_cfg, *args, **kwargs)
        if not top_down_extra_levels:
            return
        if self.add_extra_convs:
            raise ValueError('top_down_extra_levels=True already makes the extra levels; set '
                             f'add_extra_convs=False, got {self.add_extra_convs!r}')
        convs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, inplace=False)
        lateral = {**convs, 'norm_cfg': None if no_norm_on_lateral else norm_cfg}
        channels = in_channels[self.backbone_end_level - 1]
        while len(self.lateral_convs) < num_outs:
            self.lateral_convs.append(
                ConvModule(channels, out_channels, 3, stride=2, padding=1, **lateral))
            self.fpn_convs.append(ConvModule(out_channels, out_channels, 3, padding=1, **convs))
            channels = out_channels


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
