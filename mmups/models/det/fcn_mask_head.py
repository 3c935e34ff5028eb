"""mmdet's FCNMaskHead, and the heads derived from it, with an upsampler before their logits."""
from typing import Optional

from mmdet.models.roi_heads.mask_heads import DynamicMaskHead as HostDynamicMaskHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead as HostFCNMaskHead
from mmdet.models.roi_heads.mask_heads import HTCMaskHead as HostHTCMaskHead
from mmdet.models.roi_heads.mask_heads import SCNetMaskHead as HostSCNetMaskHead
from mmengine.model import ModuleList
from torch import Tensor

from mmups.models.layers import NoSite, UpsamplersLast, register_slot, whole_factor
from mmups.models.upsamplers import build_upsampler


class UpsamplingMaskHead:
    """Mixin before a class derived from mmdet's FCNMaskHead, whose 14x14 to 28x28 step becomes an
    upsampler; the slot has no guide.

    Args:
        upsampler: The method and its arguments, ``upsample_modules[0]``; None: mmdet's
            ``upsample_cfg`` and its weights, unchanged.
        upsample_cfg: mmdet's; None: its default. Beside an ``upsampler`` only its
            ``scale_factor`` counts, a whole number, which is 2 where it is left out.

    Raises:
        NoSite: ``upsampler`` beside ``upsample_cfg=dict(type=None)``.
        ValueError: ``upsampler`` beside a ``scale_factor`` that no upsampler can have.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        if kwargs.get('upsample_cfg', {}) is None:
            del kwargs['upsample_cfg']
        self._is_swapped = upsampler is not None
        super().__init__(*args, **kwargs)
        self.upsample_modules = ModuleList()
        if not self._is_swapped:
            return
        cfg = self._replaced_cfg
        if 'type' in cfg and cfg['type'] is None:
            raise NoSite(f'{type(self).__name__} with upsample_cfg={cfg} keeps the size of its '
                         'maps')
        self.upsample_modules.append(
            build_upsampler(upsampler, self.conv_logits.in_channels,
                            scale_factor=whole_factor(cfg.get('scale_factor', 2))))
        self.upsample = self._upsample  # which the forward of every host calls

    @property
    def upsample_cfg(self) -> dict:
        """What mmdet makes its step of: nothing, where an upsampler takes its place."""
        return self._upsample_cfg

    @upsample_cfg.setter
    def upsample_cfg(self, cfg: dict) -> None:
        # Here it arrives in every way in which the hosts take it, by position or by key.
        self._replaced_cfg = dict(cfg)
        self._upsample_cfg = dict(type=None) if self._is_swapped else cfg

    def _upsample(self, x: Tensor) -> Tensor:
        x = self.upsample_modules[0](x)
        # As after mmdet's deconv, so that two linear layers do not meet. What interpolates or
        # samples the convolutions' non-negative output is left as it is.
        return x.relu() if self.convs else x


@register_slot(HostFCNMaskHead)
class FCNMaskHead(UpsamplingMaskHead, HostFCNMaskHead):
    """Mask head of Mask R-CNN.

    Args:
        upsampler, upsample_cfg: As in :class:`UpsamplingMaskHead`.
        kwargs: As in mmdet's FCNMaskHead.
    """


@register_slot(HostHTCMaskHead)
class HTCMaskHead(UpsamplingMaskHead, HostHTCMaskHead):
    """Mask head of HTC, three of which share their features.

    Args:
        upsampler, upsample_cfg: As in :class:`UpsamplingMaskHead`.
        kwargs: As in mmdet's HTCMaskHead.
    """


@register_slot(HostSCNetMaskHead)
class SCNetMaskHead(UpsamplingMaskHead, HostSCNetMaskHead):
    """Mask head of SCNet.

    Its residual blocks end without a ReLU. The one behind the upsampler is there as behind mmdet's
    deconv, and cuts off what a method that only interpolates would have passed on.

    Args:
        upsampler, upsample_cfg: As in :class:`UpsamplingMaskHead`.
        kwargs: As in mmdet's SCNetMaskHead.
    """


@register_slot(HostDynamicMaskHead)
class DynamicMaskHead(UpsamplersLast, UpsamplingMaskHead, HostDynamicMaskHead):
    """Mask head of QueryInst.

    Args:
        upsampler, upsample_cfg: As in :class:`UpsamplingMaskHead`.
        kwargs: As in mmdet's DynamicMaskHead.
    """
