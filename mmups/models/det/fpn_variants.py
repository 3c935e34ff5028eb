"""mmdet's variants of FPN with upsamplers in their top-down path.

The steps follow mmdet 3.3.0, ``mmdet/models/necks/pafpn.py``, ``fpn_dropblock.py`` and
``fpn_carafe.py`` (Apache-2.0, OpenMMLab); held to them by parity tests.
"""
import inspect
from typing import Optional

from mmdet.models.necks import FPN_CARAFE as HostFPN_CARAFE
from mmdet.models.necks import PAFPN as HostPAFPN
from mmdet.models.necks import RFP as HostRFP
from mmdet.models.necks import FPN_DropBlock as HostFPN_DropBlock
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import NoSite, UpsamplersLast, register_slot, top_down
from mmups.models.upsamplers import build_upsampler

from .fpn import UpsamplingFPN


@register_slot(HostPAFPN)
class PAFPN(UpsamplingFPN, HostPAFPN):
    """FPN with a bottom-up path behind its top-down path, whose steps are upsamplers.

    Args:
        upsampler: The method and its arguments; None: nearest, as in mmdet.
        kwargs: As in mmdet's PAFPN.

    Raises:
        NoSite: ``upsampler`` in a pyramid of one level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = self.build_upsamplers(upsampler)

    def _outs(self, laterals: list[Tensor]) -> list[Tensor]:
        outs = super()._outs(laterals)
        for i, conv in enumerate(self.downsample_convs):
            outs[i + 1] = outs[i + 1] + conv(outs[i])
        return [outs[0], *(conv(x) for conv, x in zip(self.pafpn_convs, outs[1:]))]


@register_slot(HostFPN_DropBlock)
class FPN_DropBlock(UpsamplingFPN, HostFPN_DropBlock):
    """FPN that drops blocks of each sum in its top-down path, whose steps are upsamplers.

    Args:
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``.
        kwargs: As in mmdet's FPN_DropBlock.

    Raises:
        NoSite: ``upsampler`` in a pyramid of one level.
        ValueError: Not as many maps as ``in_channels``.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = self.build_upsamplers(upsampler)

    def _merge(self, laterals: list[Tensor]) -> list[Tensor]:
        return top_down(laterals, self.upsample_modules, refine=self.plugin)


@register_slot(HostRFP)
class RFP(HostRFP, UpsamplingFPN):
    """Recursive feature pyramid (DetectoRS) whose top-down steps are upsamplers.

    The FPN behind mmdet's RFP is that of mmups; all passes share its upsamplers, as they share its
    convolutions.

    Args:
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``.
        kwargs: As in mmdet's RFP.

    Raises:
        NoSite: ``upsampler`` in a pyramid of one level.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.upsample_modules = self.build_upsamplers(upsampler)


@register_slot(HostFPN_CARAFE)
class FPN_CARAFE(UpsamplersLast, HostFPN_CARAFE):
    """mmdet's pyramid for CARAFE with other upsamplers, one more for each of its extra levels.

    For models that have this neck. :class:`FPN` with ``top_down_extra_levels=True`` is the same
    pyramid with the weights of a plain FPN.

    Args:
        upsampler: The method and its arguments; None: mmdet's ``upsample_cfg``, which counts for
            nothing beside an ``upsampler``.
        kwargs: As in mmdet's FPN_CARAFE.

    Raises:
        NoSite: ``upsampler`` beside ``upsample_cfg=dict(type=None)``, which adds maps as they are.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        arguments = inspect.signature(HostFPN_CARAFE).bind(*args, **kwargs)
        arguments.apply_defaults()
        host = arguments.arguments
        if upsampler is not None:
            if host['upsample_cfg'].get('type') is None:
                raise NoSite(f"FPN_CARAFE with upsample_cfg={host['upsample_cfg']} adds maps as "
                             'they are: there is nothing to upsample')
            host['upsample_cfg'] = dict(type='nearest')
        super().__init__(**host)
        self._swapped = upsampler is not None
        if self._swapped:
            self.upsample_modules = ModuleList(
                build_upsampler(upsampler, self.out_channels, guide_channels=self.out_channels)
                for _ in self.upsample_modules)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        if not self._swapped:
            return super().forward(inputs)
        used = inputs[self.start_level:self.backbone_end_level]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used)]
        x = used[-1]
        for conv in self.lateral_convs[len(laterals):]:
            x = conv(x)
            laterals.append(x)
        laterals = top_down(laterals, self.upsample_modules)
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, laterals))
