"""The fusion of HRNet, whose module is the same in all hosts but for its resizing.

``HRModule.forward`` follows mmdet 3.3.0, ``mmdet/models/backbones/hrnet.py``, and mmseg 1.2.2,
``mmseg/models/backbones/hrnet.py`` (Apache-2.0, OpenMMLab); held to both by parity tests.
"""
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from .ladder import build_ladder, climb


class HRModule(BaseModule):
    """The branches and convolutions of a host's HRModule, with ladders of upsamplers in its fusion.

    ``upsample_modules[i]`` brings all coarser branches to branch i, as in :func:`climb`, each
    after its convolution to the channels of branch i.

    Args:
        host: The host's module; all but its nn.Upsample layers is kept, with its keys.
        upsampler: The method and its arguments.
    """

    def __init__(self, host: nn.Module, upsampler: dict):
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
