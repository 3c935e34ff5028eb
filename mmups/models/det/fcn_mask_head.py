"""mmdet's FCNMaskHead, and the heads derived from it, with an upsampler before their logits."""
from typing import Any

from mmdet.models.roi_heads import mask_heads as hosts
from torch import Tensor

from mmups.models.layers import Step, UpsamplingSlot


class UpsamplingMaskHead(UpsamplingSlot):
    """Base of the slots in mmdet's FCNMaskHead and those derived from it, 14x14 to 28x28.

    Args:
        args, kwargs: As in :class:`UpsamplingSlot` and the host, but for ``upsample_cfg=None``,
            which means mmdet's default. Beside an ``upsampler`` only its ``scale_factor`` counts,
            a whole number, which is 2 where it is left out.
    """

    decided_by = ('upsample_cfg', )

    def __init__(self, *args: Any, **kwargs: Any):
        if kwargs.get('upsample_cfg', {}) is None:
            del kwargs['upsample_cfg']
        super().__init__(*args, **kwargs)

    @property
    def upsample_cfg(self) -> dict:
        """What mmdet makes its step of: nothing, where an upsampler takes its place."""
        return self._upsample_cfg

    @upsample_cfg.setter
    def upsample_cfg(self, cfg: dict) -> None:
        # Here it arrives in every way in which the hosts take it, by position or by key.
        self._given_cfg = dict(cfg)
        self._upsample_cfg = dict(type=None) if self.swapped else cfg

    def host_steps(self) -> list[Step]:
        cfg = self._given_cfg
        if 'type' in cfg and cfg['type'] is None:
            return []
        channels = self.conv_out_channels if self.num_convs > 0 else self.in_channels
        return [Step(channels, factor=cfg.get('scale_factor', 2))]

    def adapt(self) -> None:
        self.upsample = self._upsample  # which the forward of every host calls

    def _upsample(self, x: Tensor) -> Tensor:
        x = self.upsample_modules[0](x)
        # As after mmdet's deconv, so that two linear layers do not meet. What interpolates or
        # samples the convolutions' non-negative output is left as it is; SCNet's residual blocks
        # end without a ReLU, and this one cuts off what would have been passed on.
        return x.relu() if self.convs else x


FCNMaskHead = UpsamplingMaskHead.of(
    hosts.FCNMaskHead, __name__, 'Mask head of Mask R-CNN: 14x14 to 28x28 before the logits.')
HTCMaskHead = UpsamplingMaskHead.of(
    hosts.HTCMaskHead, __name__, 'Mask head of HTC, three of which share their features, likewise.')
SCNetMaskHead = UpsamplingMaskHead.of(
    hosts.SCNetMaskHead, __name__, 'Mask head of SCNet, likewise.')
DynamicMaskHead = UpsamplingMaskHead.of(
    hosts.DynamicMaskHead, __name__, 'Mask head of QueryInst, likewise.', host_draws_all=True)
