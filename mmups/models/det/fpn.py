"""mmdet's FPN with an upsampler in its top-down path.

``forward`` follows mmdet 3.3.0, ``mmdet/models/necks/fpn.py``, and for the extra levels
``fpn_carafe.py`` (Apache-2.0, OpenMMLab); written anew and held to both by parity tests.
"""
from typing import Optional

from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN as HostFPN
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import extra_levels, register_slot, top_down
from mmups.models.upsamplers import build_upsampler


@register_slot(HostFPN)
class FPN(HostFPN):
    """Feature pyramid network whose top-down steps are upsamplers.

    ``upsample_modules[i]`` takes level i+1 to level i, guided by the lateral map of level i.

    Args:
        in_channels, out_channels, num_outs, conv_cfg, norm_cfg, act_cfg: As in mmdet's FPN, and
            so are all other keys.
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``.
        top_down_extra_levels: False: levels beyond the backbone's are made from the finished
            pyramid, as in mmdet's FPN. True: they are laterals of their own (a 3x3 convolution
            of stride 2) and take part in the top-down path, as in mmdet's FPN_CARAFE. With
            ``num_outs=5`` that makes 5 laterals and 4 upsamplers, the neck behind the numbers of
            Faster R-CNN and Mask R-CNN in the DySample and CARAFE papers.

    Raises:
        ValueError: ``top_down_extra_levels`` together with ``add_extra_convs``; a checkpoint of
            the other topology; not as many maps as ``in_channels``.
    """

    def __init__(self, in_channels: list[int], out_channels: int, num_outs: int, *,
                 upsampler: Optional[dict] = None, top_down_extra_levels: bool = False,
                 conv_cfg: Optional[dict] = None, norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = None, **kwargs):
        convs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(in_channels, out_channels, num_outs, **convs, **kwargs)
        if top_down_extra_levels:
            if self.add_extra_convs:
                raise ValueError('top_down_extra_levels=True makes the extra levels itself; set '
                                 f'add_extra_convs=False, got {self.add_extra_convs!r}')
            channels = in_channels[self.backbone_end_level - 1]
            lateral = {**convs, 'norm_cfg': None if self.no_norm_on_lateral else norm_cfg}
            while len(self.lateral_convs) < num_outs:
                self.lateral_convs.append(
                    ConvModule(channels, out_channels, 3, stride=2, padding=1, inplace=False,
                               **lateral))
                self.fpn_convs.append(
                    ConvModule(out_channels, out_channels, 3, padding=1, inplace=False, **convs))
                channels = out_channels
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or self.upsample_cfg, out_channels,
                            guide_channels=out_channels)
            for _ in self.lateral_convs[1:])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'this FPN was built for {len(self.in_channels)} maps, got '
                             f'{len(inputs)}')
        laterals = self._laterals(inputs)
        laterals = top_down(laterals, self.upsample_modules)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
        if len(outs) < self.num_outs:
            outs += extra_levels(self, inputs, laterals, outs)
        return tuple(outs)

    def _laterals(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        inputs = list(inputs[self.start_level:self.backbone_end_level])
        laterals = []
        for i, conv in enumerate(self.lateral_convs):
            if i == len(inputs):  # the first extra level halves the last map of the backbone
                source = inputs[-1]
            else:
                source = inputs[i] if i < len(inputs) else laterals[-1]
            laterals.append(conv(source))
        return laterals

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        laterals = [value for key, value in state_dict.items()
                    if key.startswith(f'{prefix}lateral_convs.') and value.dim() == 4]
        # The lateral of a backbone level is 1x1, that of an extra level 3x3.
        extra = any(weight.shape[-1] == 3 for weight in laterals)
        if laterals and extra != (self.lateral_convs[-1].kernel_size == (3, 3)):
            raise ValueError(
                f'the checkpoint has {len(laterals)} lateral convolutions at "{prefix}", this FPN '
                f'{len(self.lateral_convs)}: in the checkpoint the extra levels '
                f'{"" if extra else "do not "}take part in the top-down path. Set '
                f'top_down_extra_levels={extra} in the neck to load it')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
