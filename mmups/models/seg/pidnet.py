"""mmseg's PIDNet with upsamplers.

The ``forward`` methods follow mmseg 1.2.2, ``mmseg/models/backbones/pidnet.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
import inspect
from typing import Optional, Union

from mmengine.model import BaseModule, ModuleList, initialize
from mmseg.models.backbones import PIDNet as HostPIDNet
from mmseg.models.backbones.pidnet import PagFM as HostPagFM
from torch import Tensor

from mmups.models.layers import add_to_guide, lift, register_slot
from mmups.models.upsamplers import BaseUpsampler, build_upsampler


class PagFM(BaseModule):
    """The convolutions of mmseg's PagFM with upsamplers for both maps of the I branch.

    The first half of ``upsample_modules`` lifts the embedded map, the second the map itself. The
    guide of the last step is the map of the P branch.

    Args:
        host: mmseg's module, as PIDNet builds it; its modules and their keys are taken over.
        upsampler: The method and its arguments.
        guide_channels: Channels of the maps between the branches' sizes, coarsest first.
    """

    def __init__(self, host: HostPagFM, upsampler: dict, guide_channels: tuple[int, ...]):
        super().__init__()
        self.f_i = host.f_i
        self.f_p = host.f_p
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler, channels, guide_channels=guide)
            for channels in (self.f_i.out_channels, self.f_i.in_channels)
            for guide in (*guide_channels, self.f_p.in_channels))

    def forward(self, x_p: Tensor, x_i: Tensor, *guides: Tensor) -> Tensor:
        """Maps of the P and I branch, and those between, to the fused map, as large as x_p."""
        guides = (*guides, x_p)
        f_i = lift(self.f_i(x_i), guides, self.upsample_modules[:len(guides)])
        x_i = lift(x_i, guides, self.upsample_modules[len(guides):])
        sigma = (self.f_p(x_p) * f_i).sum(dim=1).unsqueeze(1).sigmoid()
        return sigma * x_i + (1 - sigma) * x_p


@register_slot(HostPIDNet)
class PIDNet(HostPIDNet):
    """PIDNet whose I branch climbs to the others' 1/8 in steps of x2.

    ``pag_1`` and ``pag_2`` have their own upsamplers; ``upsample_modules[0]`` lifts the difference
    at 1/16, 1 and 2 that at 1/32, 3, 4 and 5 the pooled map at 1/64. Guides are the I branch's
    maps at 1/32 and 1/16, and at 1/8 the map of the branch that receives the lifted one.

    Args:
        upsampler: The method and its arguments; None: bilinear, as in mmseg. With one, images may
            have any size.
        kwargs: As in mmseg's PIDNet.

    Raises:
        TypeError: A key that mmseg's PIDNet would ignore.
    """

    def __init__(self, *args, upsampler: Optional[dict] = None, **kwargs):
        if unknown := kwargs.keys() - inspect.signature(HostPIDNet).parameters.keys():
            raise TypeError(f'PIDNet does not take {sorted(unknown)}')
        super().__init__(*args, **kwargs)
        i_16, i_32 = self.compression_1.in_channels, self.compression_2.in_channels
        d_16, d_32 = self.diff_1.out_channels, self.diff_2.out_channels
        out = self.spp.out_channels
        if upsampler is not None:
            self.pag_1 = PagFM(self.pag_1, upsampler, ())
            self.pag_2 = PagFM(self.pag_2, upsampler, (i_16, ))
        self._lifts_in_pag = upsampler is not None
        resize = dict(mode='bilinear', align_corners=self.align_corners)
        self.upsample_modules = ModuleList(
            build_upsampler(upsampler or resize, channels, guide_channels=guide)
            for channels, guide in [(d_16, d_16), (d_32, i_16), (d_32, d_32),
                                    (out, i_32), (out, i_16), (out, out)])

    def init_weights(self) -> None:
        """As in mmseg: Kaiming in every convolution but the upsamplers', then a checkpoint."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, BaseUpsampler):
                module.init_weights()
        if self.init_cfg is not None:  # once more, as it may hold the upsamplers
            initialize(self, self.init_cfg)

    def forward(self, x: Tensor) -> Union[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Image to the fused map at 1/8; in training between maps of the P and the D branch."""
        i_branch, p_branch, d_branch = (self.i_branch_layers, self.p_branch_layers,
                                        self.d_branch_layers)
        x = self.stem(x)

        i_16 = self.relu(i_branch[0](x))
        x_p = first_p = self.pag_1(p_branch[0](x), self.compression_1(i_16))
        x_d = self._add_difference(d_branch[0](x), self.diff_1(i_16), [], self.upsample_modules[:1])

        i_32 = self.relu(i_branch[1](i_16))
        guides = [i_16] if self._lifts_in_pag else []
        x_p = self.pag_2(p_branch[1](self.relu(x_p)), self.compression_2(i_32), *guides)
        x_d = d_branch[1](self.relu(x_d))
        x_d = second_d = self._add_difference(x_d, self.diff_2(i_32), [i_16],
                                              self.upsample_modules[1:3])

        x_p = p_branch[2](self.relu(x_p))
        x_d = d_branch[2](self.relu(x_d))
        x_i = self.spp(i_branch[2](i_32))
        x_i = lift(x_i, [i_32, i_16, x_p], self.upsample_modules[3:])
        out = self.dfm(x_p, x_i, x_d)
        return (first_p, out, second_d) if self.training else out

    @staticmethod
    def _add_difference(x_d: Tensor, difference: Tensor, guides: list[Tensor],
                        upsample_modules) -> Tensor:
        lifted = lift(difference, [*guides, x_d], upsample_modules)
        return add_to_guide(x_d, lifted, upsample_modules[-1])
