"""mmseg's PIDNet with upsamplers.

The ``forward`` methods follow mmseg 1.2.2, ``mmseg/models/backbones/pidnet.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import inspect
from typing import Any, Optional, Union

from mmengine.model import initialize
from mmseg.models.backbones import PIDNet as HostPIDNet
from torch import Tensor

from mmups.models.layers import (
    Parts,
    Step,
    UpsamplingPart,
    UpsamplingSlot,
    lift,
    lift_onto,
    register_slot,
)


class PagFM(UpsamplingPart):
    """mmseg's PagFM, as PIDNet builds it, with upsamplers for both maps of the I branch.

    The first half of ``upsample_modules`` lifts the embedded map, the second the map itself. The
    guide of the last step is the map of the P branch.
    """

    def forward(self, x_p: Tensor, x_i: Tensor, *guides: Tensor) -> Tensor:
        """Maps of the P and I branch, and those between, to the fused map, as large as x_p."""
        guides = (*guides, x_p)
        f_i = lift(self.f_i(x_i), guides, self.upsample_modules[:len(guides)])
        x_i = lift(x_i, guides, self.upsample_modules[len(guides):])
        sigma = (self.f_p(x_p) * f_i).sum(dim=1).unsqueeze(1).sigmoid()
        return sigma * x_i + (1 - sigma) * x_p


@register_slot(HostPIDNet)
class PIDNet(UpsamplingSlot, HostPIDNet):
    """PIDNet whose I branch climbs to the others' 1/8 in steps of x2.

    ``pag_1`` and ``pag_2`` have their own upsamplers; ``upsample_modules[0]`` lifts the difference
    at 1/16, 1 and 2 that at 1/32, 3, 4 and 5 the pooled map at 1/64. With an upsampler, images may
    have any size.
    """

    guide = "the I branch's finer maps, then the receiving branch's"
    host_draws_all = True

    def __init__(self, *args: Any, upsampler: Optional[dict] = None, **kwargs: Any):
        # The host would ignore them.
        if unknown := kwargs.keys() - inspect.signature(HostPIDNet).parameters.keys():
            raise TypeError(f'PIDNet does not take {sorted(unknown)}')
        super().__init__(*args, upsampler=upsampler, **kwargs)

    def parts(self) -> Parts:
        for pag, between in [('pag_1', ()), ('pag_2', (self.compression_1.in_channels, ))]:
            f_i = self.get_submodule(pag).f_i
            yield self, pag, PagFM(self.get_submodule(pag), [
                Step(channels, guide) for channels in (f_i.out_channels, f_i.in_channels)
                for guide in (*between, f_i.in_channels)])

    def host_steps(self) -> list[Step]:
        i_16, i_32 = self.compression_1.in_channels, self.compression_2.in_channels
        d_16, d_32 = self.diff_1.out_channels, self.diff_2.out_channels
        out, host = self.spp.out_channels, dict(mode='bilinear', align_corners=self.align_corners)
        return [Step(channels, guide, host=host) for channels, guide in [
            (d_16, d_16), (d_32, i_16), (d_32, d_32), (out, i_32), (out, i_16), (out, out)]]

    def init_weights(self) -> None:
        super().init_weights()
        if self.init_cfg is not None:  # once more, as it may hold the upsamplers
            initialize(self, self.init_cfg)

    def forward(self, x: Tensor) -> Union[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Image to the fused map at 1/8; in training between maps of the P and the D branch."""
        i_branch, p_branch, d_branch = (self.i_branch_layers, self.p_branch_layers,
                                        self.d_branch_layers)
        x, ups = self.stem(x), self.upsample_modules

        i_16 = self.relu(i_branch[0](x))
        x_p = first_p = self.pag_1(p_branch[0](x), self.compression_1(i_16))
        x_d = lift_onto(d_branch[0](x), self.diff_1(i_16), [], ups[:1])

        i_32 = self.relu(i_branch[1](i_16))
        guides = [i_16] if self.swapped else []
        x_p = self.pag_2(p_branch[1](self.relu(x_p)), self.compression_2(i_32), *guides)
        x_d = d_branch[1](self.relu(x_d))
        x_d = second_d = lift_onto(x_d, self.diff_2(i_32), [i_16], ups[1:3])

        x_p, x_d = p_branch[2](self.relu(x_p)), d_branch[2](self.relu(x_d))
        x_i = lift(self.spp(i_branch[2](i_32)), [i_32, i_16, x_p], ups[3:])
        out = self.dfm(x_p, x_i, x_d)
        return (first_p, out, second_d) if self.training else out
