"""mmseg's DPTHead with upsamplers in its fusion and, if wanted, its reassembly.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/dpt_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from collections.abc import Iterable
from typing import Optional

from mmseg.models.decode_heads import DPTHead as HostDPTHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmups.models.layers import register_slot
from mmups.models.upsamplers import build_upsampler

from .head import UpsamplingHead


@register_slot(HostDPTHead,
               optional=('final_upsampler', 'reassemble_upsampler', 'logits_upsampler'))
class DPTHead(UpsamplingHead, HostDPTHead):
    """Dense prediction transformer's head, whose fusion blocks are joined by upsamplers.

    ``upsample_modules[0:3]`` go from 1/32 to 1/16, 1/8 and 1/4, guided by the map that each result
    meets there. 3 goes on to 1/2. With a ``reassemble_upsampler`` 4 and 5 make the 1/4 and the 1/8
    map.

    Args:
        upsampler: The method and its arguments in the fusion; None: bilinear with
            ``align_corners=True``, as in mmseg.
        final_upsampler: The same for the step to 1/2, which has no guide.
        reassemble_upsampler: The same for the steps from a transformer's maps at 1/16 to 1/4 and
            1/8, which have none either; None: mmseg's transposed convolutions and their weights.
        logits_upsampler: As in every head of mmups.
        kwargs: As in mmseg's DPTHead.
    """

    def __init__(self, *args, final_upsampler: Optional[dict] = None,
                 reassemble_upsampler: Optional[dict] = None, **kwargs):
        self._final_upsampler = final_upsampler
        self._reassemble_upsampler = reassemble_upsampler
        super().__init__(*args, **kwargs)

    def build_upsamplers(self, upsampler: Optional[dict]) -> Iterable[nn.Module]:
        bilinear = dict(mode='bilinear', align_corners=True)
        modules = [build_upsampler(upsampler or bilinear, self.channels,
                                   guide_channels=self.channels) for _ in self.fusion_blocks[1:]]
        modules.append(build_upsampler(self._final_upsampler or bilinear, self.channels))
        if self._reassemble_upsampler:
            layers = self.reassemble_blocks.resize_layers
            for i in range(2):
                modules.append(build_upsampler(self._reassemble_upsampler, layers[i].out_channels,
                                               scale_factor=layers[i].stride[0]))
                layers[i] = nn.Identity()
        return modules

    def forward(self, inputs: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
        """Maps and class tokens of a transformer, at 1/16, to logits at 1/2."""
        maps = self.reassemble_blocks(self._transform_inputs(inputs))
        if self._reassemble_upsampler:
            for i in range(2):
                maps[i] = self.upsample_modules[4 + i](maps[i])
        maps = [conv(x) for conv, x in zip(self.convs, maps)][::-1]
        out = maps[0]
        for i, block in enumerate(self.fusion_blocks):
            if i > 0:
                skip = maps[i]
                if skip.shape != out.shape:
                    skip = resize(skip, size=out.shape[2:], mode='bilinear', align_corners=False)
                # A copy: the unit's activation works in place, and the guide is still needed.
                out = out + block.res_conv_unit1(skip.clone())
            out = block.res_conv_unit2(out)
            upsample = self.upsample_modules[i]
            if upsample.any_size or i == len(maps) - 1:  # mmseg doubles, and fits the skip
                out = upsample(out)
            else:
                out = upsample(out, maps[i + 1], maps[i + 1].shape[2:])
            out = block.project(out)
        return self.cls_seg(self.project(out))
