"""Write docs/slots.md from the slots themselves."""
import argparse
from pathlib import Path

from mmups.engine.cli import one_line_errors
from mmups.models import det, restoration, seg
from mmups.models.layers import SLOT_OF, UpsamplingSlot
from mmups.registry import MODELS

PAGE = Path(__file__).parents[1] / 'docs/slots.md'
HEAD = """# Slots

A slot stands in place of a class of mmdet or mmseg and takes its arguments, and
`upsampler=dict(type=..., ...)` for the steps that these tables name. Without that key it is its
host, and a checkpoint of the one loads into the other; only `upsample_modules.*` is
new. A `-` marks a model of a paper that no host has: it is a class of its own. A slot without a
guide refuses, when it is built, methods that need one; one whose arguments
leave nothing to upsample refuses every method. Further keys are configured in the same way, and are
left alone by a swap unless they are asked for.

A class without a slot, such as a subclass of one's own, is swapped with `--generic`
([swap.md](swap.md)). This page is written by `python tools/slots_page.py`.
"""
NOTES = {
    'mmdet': """\
A mask head multiplies the size by the `scale_factor` of its `upsample_cfg`, a whole number, 2 where
it is left out. `upsample_cfg=dict(type=None)` keeps the size of the maps, there and in FPN_CARAFE,
and leaves nothing to upsample. The pixel decoders serve mmseg's MaskFormer and Mask2Former too.

With an upsampler, SOLOV2Head, CondInstMaskHead, BoxInstMaskHead, HRNet and the necks of YOLO,
RTMDet, FPG and HRNet take maps of any size, unlike their hosts (where a neck halves maps again,
they must have been rounded up).""",
    'mmseg': """\
With an upsampler, FPNHead and DPTHead end each step at the size of the map that it meets; their
hosts, and plain interpolation here, double first and resize one to the other where sizes are odd.
UNet, DDRNet and PIDNet take images of any size, and VPDDepthHead maps of odd sizes, unlike their
hosts. OCRHead needs the logits of the head before it at the size of its own features: in that
cascade `logits_upsampler` belongs to OCRHead alone.

In SegformerHead, LightHamHead, FPNHead, the fusion of UPerHead and every head with
`input_transform='resize_concat'`, `direct=True` has each map come to the finest one in one step of
x2, x4 or x8, guided by the finest one: fewer modules, of methods that have such a `scale_factor`.

"The image" is what `mmups.WithImage` adds behind a backbone's maps, for methods such as NAF that
are guided by it ([methods.md](methods.md#naf)); all other methods go without a guide there.

Methods that split channels refuse some widths and say so: HRNet-W18's 18 channels need
`dict(type='DySample', groups=2)`. SAPA takes `norm=False`, and A2U does not fit, where a guide's
channels are no multiple of 32, such as the 48 of DeepLabV3+ or the 18 of HRNet-W18.

DenseDepthHead is that of DepthFormer, for mmseg's DepthEstimator. The other parts of DepthFormer
are here too, and upsample nothing: `mmups.DepthFormerSwin`, `mmups.HAHIHeteroNeck` (which needs
mmcv with its operators) and `mmups.SigLoss`.""",
    'restoration': """\
Networks of mmups's own, with the arguments and the state-dict keys of mmagic's; PyTorch and
mmengine are all that they need. `upsampler` takes all steps of the decoder, which halve the
channels: LCTC, Deconv, PixelShuffle and FreqAvgUp do that themselves, and any other method works at
the channels of its guide, behind a 1x1 convolution. NAFNet's are multiples of 32; the last of
Restormer's, 48, is not, so that SAPA takes `norm=False` there and A2U does not fit.
`downsampler=dict(type='FLC')` takes all steps of the encoder.""",
}


def summary(slot):
    first, _, _ = slot.__doc__.strip().partition('\n\n')
    return ' '.join(first.split()).rstrip('.').replace('``', '`')


def row(host, slot):
    keys = ', '.join(f'`{key}`' for key in slot.optional)
    replaced = '-' if host is slot else host.__name__
    return (f'| `mmups.{slot.__name__}` | {replaced} | {summary(slot)} | {keys or "-"} | '
            f'{slot.guide or "no"} |')


def page():
    if failed := MODELS.load_hosts():
        raise next(iter(failed.values()))
    hosts = {slot.__name__: (host, slot) for host, slot in SLOT_OF.items()}
    sections = [HEAD]
    for host, files in (('mmdet', det.FILES), ('mmseg', seg.FILES)):
        rows = [row(*hosts[name]) for names in files.values() for name in names.split()]
        sections.append('\n'.join([
            f'## {host}', '', f"| Config type | In place of {host}'s | What it is | Further keys | "
            'Guide |', '|---|---|---|---|---|', *rows, '', NOTES[host], '']))
    own = [getattr(restoration, name) for name in restoration.__all__]
    sections.append('\n'.join([
        '## Restoration', '', '| Config type | What it is | Guide |', '|---|---|---|',
        *(f'| `mmups.{slot.__name__}` | {summary(slot)} | {slot.guide} |'
          for slot in own if issubclass(slot, UpsamplingSlot)), '', NOTES['restoration'], '']))
    return '\n'.join(sections)


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    with one_line_errors():
        PAGE.write_text(page(), encoding='utf-8')


if __name__ == '__main__':
    main()
