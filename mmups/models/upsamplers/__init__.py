"""Upsamplers, one file per paper, behind one contract."""
from .base import BaseUpsampler
from .builder import build_upsampler, registered_upsamplers
from .deconv import Deconv
from .dysample import DySample
from .interpolate import Interpolate
from .lctc import LCTC
from .pixel_shuffle import PixelShuffle

__all__ = ['BaseUpsampler', 'build_upsampler', 'registered_upsamplers', 'Deconv', 'DySample',
           'Interpolate', 'LCTC', 'PixelShuffle']
