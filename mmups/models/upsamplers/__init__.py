"""Upsamplers, one file per paper, behind one contract."""
from .a2u import A2U
from .base import BaseUpsampler
from .builder import build_upsampler, registered_upsamplers, resolve_upsampler
from .carafe import CARAFE
from .deconv import Deconv
from .dlu import DLU
from .dysample import DySample
from .fade import FADE, FADELite
from .fft import FFTUpsample
from .freq_avg_up import FreqAvgUp
from .freqfusion import FreqFusion
from .indexnet import IndexNet
from .interpolate import Interpolate
from .lctc import LCTC
from .lda_aqu import LDAAQU
from .naf import NAF
from .pixel_shuffle import PixelShuffle
from .resfu import ReSFU
from .sapa import SAPA, SAPADeform

__all__ = ['BaseUpsampler', 'build_upsampler', 'registered_upsamplers', 'resolve_upsampler', 'A2U',
           'CARAFE', 'DLU', 'Deconv', 'DySample', 'FADE', 'FADELite', 'FFTUpsample', 'FreqAvgUp',
           'FreqFusion', 'IndexNet', 'Interpolate', 'LCTC', 'LDAAQU', 'NAF', 'PixelShuffle',
           'ReSFU', 'SAPA', 'SAPADeform']
