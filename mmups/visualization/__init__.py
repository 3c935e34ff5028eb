"""Pictures of what models and upsamplers do."""
from .criticality import draw_criticality
from .depth import draw_depth_sheet
from .features import draw_features
from .kernels import KernelRow, draw_kernels
from .restoration import Restoration, draw_restorations
from .sampling import SamplingRow, draw_sampling
from .sheet import draw_sheet
from .spectra import SpectrumRow, draw_spectra
from .speed import draw_bars, draw_growth

__all__ = ['KernelRow', 'Restoration', 'SamplingRow', 'SpectrumRow', 'draw_bars',
           'draw_criticality', 'draw_depth_sheet', 'draw_features', 'draw_growth', 'draw_kernels',
           'draw_restorations', 'draw_sampling', 'draw_sheet', 'draw_spectra']
