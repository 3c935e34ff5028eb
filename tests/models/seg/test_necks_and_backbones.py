"""What the slots in mmseg's necks and backbones do in their own way: guides, counts, refusals."""
import pytest
import torch
from mmengine.registry import MODELS as ROOT
from slot_cases import SLOTS

from mmups.models.layers import NoSite
from mmups.models.upsamplers import BaseUpsampler

pytest.importorskip('mmseg')


class Guided(BaseUpsampler):
    """Nearest; keeps what it was given."""

    guided = True

    def __init__(self, in_channels, scale_factor=2, guide_channels=None):
        super().__init__(in_channels, scale_factor, guide_channels)
        self.guides = []

    def upsample(self, x, guide):
        self.guides.append(guide)
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


class IncludesGuide(Guided):
    """Its output stands for the guide and the upsampled map."""

    includes_guide = True

    def upsample(self, x, guide):
        return guide + super().upsample(x, guide)


def run(slot, upsampler=Guided, size=(64, 96), training=True, **kwargs):
    """The slot after a forward pass, and its outputs."""
    case = SLOTS[slot]
    module = case.build(upsampler, **kwargs)
    module.train(training)
    return module, case.run(module, case.maps(size))


def kept(module):
    """Guides in the order of the modules."""
    return [m.guides[0] for m in module.modules() if isinstance(m, Guided)]


def recorded(name, slot, **kwargs):
    """The outputs of the submodules ``name`` while the slot runs, and its guides."""
    case = SLOTS[slot]
    module, outs = case.build(Guided, **kwargs), []
    for entry in name:
        module.get_submodule(entry).register_forward_hook(lambda m, args, out: outs.append(out))
    case.run(module, case.maps((64, 96)))
    return outs, kept(module)


SIZES = {  # the height of each guide for images, or finest maps, 64 high
    'SegFPN': [64, 32, 16],
    'UNet': [64],
    'UNet-deconv': [64],
    'SegHRNet': [16, 8, 16, 16, 8, 4, 8, 16, 8, 16, 4, 8, 4],
    'JPU': [32, 64, 64],
    'ICNeck': [32, 64],
    'BiSeNetV1': [4, 8],
    'BiSeNetV2': [4, 8, 4, 8],
    'STDCContextPathNet': [4, 8],
    'FastSCNN': [4, 8],
    'DDRNet': [8, 4, 8, 2, 4, 8],
    'PIDNet': [8, 8, 4, 8, 4, 8, 8, 4, 8, 2, 4, 8],
    'ERFNet': [16, 32],
}


@pytest.mark.parametrize('slot', SIZES.keys() - {'SegHRNet'})
def test_heights_of_guides(slot):
    """Guides are the maps of the level that each step of x2 reaches."""
    module, _ = run(slot)
    assert [guide.shape[2] for guide in kept(module)] == SIZES[slot]


def test_hrnet_ladders():
    """Stage 2 has 1 step, stage 3 2+1 to the finest branch and 1 to the next, stage 4 6+3+1."""
    module, _ = run('SegHRNet')
    heights = [guide.shape[2] for guide in kept(module)]
    assert heights[:1] == [16]
    assert heights[1:5] == [8, 16, 16, 8]
    assert heights[5:] == [4, 8, 16, 8, 16, 16, 4, 8, 8, 4]


def test_hrnet_without_the_coarse_outputs():
    module, outs = run('SegHRNet', multiscale_output=False)
    assert len(outs) == 1
    assert len(kept(module)) == 1 + 4 + 6
