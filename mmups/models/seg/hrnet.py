"""mmseg's HRNet with upsamplers in its fusions.

``HRModule.forward`` follows mmseg 1.2.2, ``mmseg/models/backbones/hrnet.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from typing import Optional

from mmengine.model import BaseModule, ModuleList
from mmseg.models.backbones import HRNet as HostHRNet
from mmseg.models.backbones.hrnet import HRModule as HostHRModule
from torch import Tensor

from mmups.models.layers import build_ladder, climb, register_slot


class HRModule(BaseModule):
    """The branches and convolutions of mmseg's HRModule, with ladders of upsamplers in its fusion.

    ``upsample_modules[i]`` brings all coarser branches to branch i, as in :func:`climb`, each
    after its convolution to the channels of branch i.

    Args:
        host: mmseg's module; all but its nn.Upsample layers is kept, with its keys.
        upsampler: The method and its arguments.
    """

    def __init__(self, host: HostHRModule, upsampler: dict):
        super().__init__()
        self.branches = host.branches
        self.fuse_layers = host.fuse_layers
        self.relu = host.relu
        self.upsample_modules = ModuleList()
        for i, layers in enumerate(self.fuse_layers):
            for layer in layers[i + 1:]:
                del layer[-1]
            self.upsample_modules.append(
                build_ladder(upsampler, [host.in_channels[i]] * (host.num_branches - i)))

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """One map per branch, finest first, to as many (one in a last module of one scale)."""
        maps = [branch(entry) for branch, entry in zip(self.branches, x)]
        fused = []
        for i, (layers, ladder) in enumerate(zip(self.fuse_layers, self.upsample_modules)):
            own = maps[i]
            terms = [own if j == i else layers[j](entry) for j, entry in enumerate(maps)]
            terms[i:] = climb(terms[i:], ladder)
            if ladder and ladder[-1].includes_guide:
                del terms[i]
            fused.append(self.relu(sum(terms)))
        return fused


@register_slot(HostHRNet)
class SegHRNet(HostHRNet):
    """HRNet whose fusions bring the coarser branches up in steps of x2.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg.
        kwargs: As in mmseg's HRNet.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        super().__init__(*args, **kwargs)
        if upsampler is None:
            return
        for stage in (self.stage2, self.stage3, self.stage4):
            for i, module in enumerate(stage):
                stage[i] = HRModule(module, upsampler)
        self._freeze_stages()
