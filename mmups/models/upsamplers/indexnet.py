"""IndexNet: indices matter.

Lu, Dai, Shen and Xu, "Indices Matter: Learning to Index for Deep Image Matting" (ICCV 2019,
arXiv:1908.00672). Official code consulted for key names: poppinace/indexnet_matting
(non-commercial), of which nothing is copied, and mmagic (Apache-2.0). State-dict keys are the
authors': ``index_net.indexnet.*`` (holistic), ``index_net.indexnet{1..4}.*`` (depthwise).

Deviations: only the decoder's index map is computed (the encoder's serves indexed pooling, which
a pyramid or SegFormer does not have). Initial values are PyTorch's, as in the authors' SegFormer.
"""
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmups.ops import pixel_shuffle
from mmups.registry import MODELS

from .base import BaseUpsampler


def _index_block(channels: int, hidden: int, out_channels: int, groups: int, use_nonlinear: bool,
                 use_context: bool, norm_cfg: dict) -> nn.Module:
    """One network from the guide (N, channels, 2h, 2w) to index logits (N, out_channels, h, w)."""
    stride2 = dict(kernel_size=4, stride=2, padding=1) if use_context else dict(
        kernel_size=2, stride=2)
    if not use_nonlinear:
        return nn.Conv2d(channels, out_channels, **stride2, groups=groups, bias=False)
    from mmcv.cnn import build_norm_layer
    return nn.Sequential(
        nn.Conv2d(channels, hidden, **stride2, groups=groups, bias=False),
        build_norm_layer(norm_cfg, hidden)[1], nn.ReLU6(inplace=True),
        nn.Conv2d(hidden, out_channels, 1, groups=groups, bias=False))


class _HolisticIndex(nn.Module):
    """One index map for all channels."""

    def __init__(self, channels: int, **kwargs):
        super().__init__()
        self.indexnet = _index_block(channels, 2 * channels, 4, groups=1, **kwargs)

    def forward(self, guide: Tensor) -> Tensor:
        return pixel_shuffle(self.indexnet(guide), 2)  # (N, 1, 2h, 2w)


class _DepthwiseIndex(nn.Module):
    """An index map for each channel, one network per position in the 2x2 cell."""

    def __init__(self, channels: int, groups: int, **kwargs):
        super().__init__()
        for i in range(1, 5):
            self.add_module(f'indexnet{i}',
                            _index_block(channels, channels, channels, groups=groups, **kwargs))

    def forward(self, guide: Tensor) -> Tensor:
        logits = torch.stack([net(guide) for net in self.children()], dim=2)  # (N, C, 4, h, w)
        return pixel_shuffle(logits.flatten(1, 2), 2)  # (N, C, 2h, 2w)


@MODELS.register_module()
class IndexNet(BaseUpsampler):
    """Nearest neighbours, gated by an index map in (0, 1) that the guide predicts.

    Args:
        in_channels: C.
        scale_factor: 2.
        guide_channels: Channels of the guide; C in the depthwise modes.
        mode: 'hin', one index map for all channels; 'm2o', one per channel from all channels;
            'o2o', one per channel from that channel.
        use_nonlinear: Two convolutions with a norm and ReLU6 between them, instead of one.
        use_context: 4x4 instead of 2x2 kernels.
        norm_cfg: The norm, e.g. dict(type='SyncBN'). In training, a batch norm cannot work on a
            single 1x1 map.
        init_cfg: Applied after PyTorch's default initialisation.

    Raises:
        ValueError: ``scale_factor`` is not 2, ``mode`` is unknown, or a depthwise mode gets a
            guide of another width.

    >>> IndexNet(64, guide_channels=24)(torch.rand(1, 64, 8, 8), torch.rand(1, 24, 16, 16)).shape
    torch.Size([1, 64, 16, 16])
    """

    guided = True

    def __init__(self, in_channels: int, scale_factor: int = 2,
                 guide_channels: Optional[int] = None, mode: str = 'hin',
                 use_nonlinear: bool = True, use_context: bool = True,
                 norm_cfg: Optional[dict] = None, init_cfg: Union[dict, list, None] = None):
        super().__init__(in_channels, scale_factor, guide_channels, init_cfg)
        if self.scale_factor != 2:
            raise ValueError(f'IndexNet supports scale_factor=2 only, got {scale_factor=}')
        if mode not in ('hin', 'm2o', 'o2o'):
            raise ValueError(f"mode must be 'hin', 'm2o' or 'o2o', got mode={mode!r}")
        if mode != 'hin' and self.guide_channels != self.in_channels:
            raise ValueError(
                f'mode={mode!r} needs a guide with as many channels as the map, got in_channels='
                f'{self.in_channels}, guide_channels={self.guide_channels}; '
                "mode='hin' takes any guide")
        kwargs = dict(use_nonlinear=use_nonlinear, use_context=use_context,
                      norm_cfg=norm_cfg or dict(type='BN'))
        if mode == 'hin':
            self.index_net = _HolisticIndex(self.guide_channels, **kwargs)
        else:
            groups = 1 if mode == 'm2o' else self.in_channels
            self.index_net = _DepthwiseIndex(self.guide_channels, groups, **kwargs)
        self.init_weights()

    def init_weights(self) -> None:
        """PyTorch's defaults."""
        for module in self.modules():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
        super().init_weights()

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return self.index_net(guide).sigmoid() * F.interpolate(x, scale_factor=2)
