"""mmseg's DPTHead with upsamplers in its fusion and, if wanted, its reassembly.

``forward`` follows mmseg 1.2.2, ``mmseg/models/decode_heads/dpt_head.py`` (Apache-2.0,
OpenMMLab); held to it by a parity test.
"""
from mmseg.models.decode_heads import DPTHead as HostDPTHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmups.models.layers import Step, double, register_slot, split_image, upsample_by_image

from .head import UpsamplingHead


@register_slot(HostDPTHead)
class DPTHead(UpsamplingHead, HostDPTHead):
    """Dense prediction transformer's head, whose fusion blocks are joined by upsamplers.

    ``upsample_modules[0:3]`` go from 1/32 to 1/16, 1/8 and 1/4, guided by the map that each result
    meets there. 3 goes on to 1/2. With a ``reassemble_upsampler`` 4 and 5 make the 1/4 and the 1/8
    map.

    Args:
        args, kwargs: As in :class:`UpsamplingHead` and mmseg's DPTHead.
        final_upsampler: The method and its arguments for the step to 1/2, which has no guide.
        reassemble_upsampler: The same for the steps from a transformer's maps at 1/16 to 1/4 and
            1/8, which have none either but the image; None: mmseg's transposed convolutions and
            their weights.
    """

    optional = ('final_upsampler', 'reassemble_upsampler', 'logits_upsampler')
    guide = 'the map that is fused next; reassembly: the image, for methods that take it'

    def own_steps(self) -> list[Step]:
        c, bilinear = self.channels, dict(mode='bilinear', align_corners=True)
        return [*(Step(c, c, host=bilinear) for _ in self.fusion_blocks[1:]),
                Step(c, key='final_upsampler', host=bilinear),
                *(Step(layer.out_channels, factor=layer.stride, key='reassemble_upsampler',
                       image=True)
                  for layer in self.reassemble_blocks.resize_layers[:2])]

    def adapt(self) -> None:
        for i, _ in enumerate(self.upsamplers_of('reassemble_upsampler')):
            self.reassemble_blocks.resize_layers[i] = nn.Identity()

    def forward(self, inputs: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
        """Maps and class tokens of a transformer, at 1/16, to logits at 1/2."""
        inputs, image = split_image(inputs, self.upsample_modules)
        inputs = self._transform_inputs(inputs)
        self.check_maps(inputs, len(self.convs))
        maps = self.reassemble_blocks(inputs)
        for i, upsample in enumerate(self.upsamplers_of('reassemble_upsampler')):
            maps[i] = upsample_by_image(maps[i], image, upsample)
        out, *skips = [conv(x) for conv, x in zip(self.convs, maps)][::-1]
        block, *finer_blocks = self.fusion_blocks
        out = block.res_conv_unit2(out)
        for finer, skip, upsample in zip(finer_blocks, skips, self.upsamplers_of('upsampler')):
            out = block.project(double(out, skip, upsample))
            block = finer
            if skip.shape != out.shape:
                skip = resize(skip, size=out.shape[2:], mode='bilinear', align_corners=False)
            # A copy: the unit's activation works in place, and the guide is still needed.
            out = block.res_conv_unit2(out + block.res_conv_unit1(skip.clone()))
        final, = self.upsamplers_of('final_upsampler')
        return self.cls_seg(self.project(block.project(final(out))))
