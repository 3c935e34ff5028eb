"""The fusion of HRNet, whose module is the same in all hosts but for its resizing.

``HRModule.forward`` follows mmdet 3.3.0, ``mmdet/models/backbones/hrnet.py``, and mmseg 1.2.2,
``mmseg/models/backbones/hrnet.py`` (Apache-2.0, OpenMMLab); held to both by parity tests.
"""
from mmengine.model import ModuleList
from torch import Tensor

from .ladder import ladder_steps, summands
from .slot import Parts, Step, UpsamplingPart, UpsamplingSlot


class HRModule(UpsamplingPart):
    """A host's HRModule with a ladder of upsamplers per branch in its fusion.

    ``upsample_modules[i]`` brings all coarser branches to branch i, as in :func:`climb`, each
    after its convolution to the channels of branch i.
    """

    def host_steps(self) -> list[Step]:
        return [step for ladder in self._ladders() for step in ladder]

    def _ladders(self) -> list[list[Step]]:
        return [ladder_steps([self.in_channels[i]] * (self.num_branches - i))
                for i in range(len(self.fuse_layers))]

    def adapt(self) -> None:
        modules = iter(self.upsample_modules)
        self.upsample_modules = ModuleList(
            ModuleList(next(modules) for _ in ladder) for ladder in self._ladders())
        for i, layers in enumerate(self.fuse_layers):
            for layer in layers[i + 1:]:
                del layer[-1]

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """One map per branch, finest first, to as many (one in a last module of one scale)."""
        maps = [branch(entry) for branch, entry in zip(self.branches, x)]
        fused = []
        for i, (layers, ladder) in enumerate(zip(self.fuse_layers, self.upsample_modules)):
            terms = [maps[i] if j == i else layers[j](entry) for j, entry in enumerate(maps)]
            fused.append(self.relu(sum([*terms[:i], *summands(terms[i:], ladder)])))
        return fused


class UpsamplingHRNet(UpsamplingSlot):
    """Base of the slots in both hosts' HRNet."""

    guide = 'the next finer branch'

    def parts(self) -> Parts:
        for stage in (self.stage2, self.stage3, self.stage4):
            for name, module in stage.named_children():
                yield stage, name, HRModule(module)
