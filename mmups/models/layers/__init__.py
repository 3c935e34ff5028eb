"""Host-free plumbing between slots and upsamplers."""
from .conv_upsample import ConvUpsample, upsampler_to
from .factor import whole_factor
from .flc import FLC, build_downsampler
from .fpn import FPNPass, UpsamplingFPN, laterals_of
from .host_resize import HostResize
from .hr_module import UpsamplingHRNet
from .intercept import Intercept, InterceptedStep, traced_steps
from .ladder import climb, crop_to_half, double, hand_down, ladder_steps, lift, lift_onto, summands
from .slot import SLOT_OF, NoSite, Parts, Step, UpsamplingPart, UpsamplingSlot, register_slot
from .sums import add_to_guide, beside_guide
from .top_down import extra_levels, top_down
from .upsample_step import UpsampleStep
from .with_image import (
    WithImage,
    maps_and_image,
    needs_image,
    split_image,
    upsample_by_image,
)

__all__ = [
    'FLC', 'SLOT_OF', 'ConvUpsample', 'FPNPass', 'HostResize', 'Intercept', 'InterceptedStep',
    'NoSite', 'Parts', 'Step', 'UpsampleStep', 'UpsamplingFPN', 'UpsamplingHRNet',
    'UpsamplingPart', 'UpsamplingSlot', 'WithImage', 'add_to_guide', 'beside_guide',
    'build_downsampler', 'climb', 'crop_to_half', 'double', 'extra_levels', 'hand_down',
    'ladder_steps', 'laterals_of', 'lift', 'lift_onto', 'maps_and_image', 'needs_image',
    'register_slot', 'split_image', 'summands', 'top_down', 'traced_steps', 'upsample_by_image',
    'upsampler_to', 'whole_factor'
]
