"""mmdet's variants of FPN with upsamplers in their top-down path.

The steps follow mmdet 3.3.0, ``mmdet/models/necks/pafpn.py``, ``fpn_dropblock.py`` and
``fpn_carafe.py`` (Apache-2.0, OpenMMLab); held to them by parity tests.
"""
import inspect
from functools import partial
from operator import getitem
from types import SimpleNamespace
from typing import Any, Optional

from mmdet.models import necks as hosts
from torch import Tensor

from mmups.models.layers import Step, UpsamplingFPN, laterals_of, register_slot, top_down

from .fpn import StepwiseFPN


@register_slot(hosts.PAFPN)
class PAFPN(UpsamplingFPN, StepwiseFPN, hosts.PAFPN):
    """FPN with a bottom-up path behind its top-down path, whose steps are upsamplers."""

    def finish(self, laterals: list[Tensor]) -> list[Tensor]:
        outs = super().finish(laterals)
        for i, conv in enumerate(self.downsample_convs):
            outs[i + 1] = outs[i + 1] + conv(outs[i])
        return [outs[0], *(conv(x) for conv, x in zip(self.pafpn_convs, outs[1:]))]


@register_slot(hosts.FPN_DropBlock)
class FPN_DropBlock(UpsamplingFPN, StepwiseFPN, hosts.FPN_DropBlock):
    """FPN that drops blocks of each sum in its top-down path, whose steps are upsamplers."""

    def merge(self, laterals: list[Tensor]) -> list[Tensor]:
        return top_down(laterals, self.upsample_modules, refine=self.plugin)


@register_slot(hosts.RFP)
class RFP(UpsamplingFPN, hosts.RFP, StepwiseFPN):
    """Recursive feature pyramid (DetectoRS) whose top-down steps are upsamplers.

    All passes share the upsamplers, as they share the convolutions; ``forward`` is mmdet's, for
    which each of them is one of :class:`StepwiseFPN`.
    """


@register_slot(hosts.FPN_CARAFE)
class FPN_CARAFE(UpsamplingFPN, hosts.FPN_CARAFE):
    """mmdet's pyramid for CARAFE with other upsamplers, one more for each of its extra levels.

    For models that have this neck. :class:`FPN` with ``top_down_extra_levels=True`` is the same
    pyramid with the weights of a plain FPN. ``upsample_cfg`` counts for nothing beside an
    ``upsampler``, but that with ``type=None`` there is nothing to upsample.
    """

    decided_by = ('_given.upsample_cfg', 'num_outs')
    host_draws_all = True

    def __init__(self, *args: Any, upsampler: Optional[dict] = None, **kwargs: Any):
        host = inspect.signature(hosts.FPN_CARAFE).bind(*args, **kwargs)
        host.apply_defaults()
        self._given = SimpleNamespace(upsample_cfg=host.arguments['upsample_cfg'])
        if upsampler is not None:  # no weights that are drawn, and then replaced
            host.arguments['upsample_cfg'] = dict(type='nearest')
        super().__init__(**host.arguments, upsampler=upsampler)

    def host_steps(self) -> list[Step]:
        if self._given.upsample_cfg.get('type') is None:
            return []
        layers = self.upsample_modules
        return [Step(self.out_channels, self.out_channels, host=partial(getitem, layers, i))
                for i in range(len(layers))]

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone maps, finest first, to ``num_outs`` maps of ``out_channels``."""
        if not self.swapped:
            return super().forward(inputs)
        self.check_maps(inputs, len(self.in_channels))
        laterals = top_down(laterals_of(self, inputs), self.upsample_modules)
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, laterals))
