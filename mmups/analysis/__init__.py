"""What an upsampler costs, beside the papers' tables, and what it does to maps and models."""
from .complexity import Cost, added_cost, count_macs, macs_by_module
from .conditions import check_backend, file_stem, machine
from .features import fit_to_map, principal_component, project
from .growth import Growth, curves, exponents, grow_all
from .hotspots import Hotspot, hotspots
from .latency import Effort, Timing, interleave, quartiles
from .memory import peak_memory
from .paper_tables import HOSTS, Host, PaperSite
from .results import Results, compare
from .roofline import H100, predict
from .roofline_steps import Maps
from .sampling import folded, offsets
from .spectrum import (
    MeanPower,
    dc_checkerboard_index,
    grid_peak_ratio,
    impulse_response,
    out_of_band_ratio,
    power_spectrum,
    radial_profile,
    stop_band_share,
)
from .speed import Bench, measure, measure_all
from .steps import Call, recording, upsampling_steps
from .upsampler_bench import MEMORY_FORMATS, Passes, UpsamplerBench, checked_device

__all__ = ['Bench', 'Call', 'Cost', 'Effort', 'Growth', 'H100', 'HOSTS', 'Host', 'Hotspot',
           'MEMORY_FORMATS', 'Maps', 'MeanPower', 'PaperSite', 'Passes', 'Results', 'Timing',
           'UpsamplerBench', 'added_cost', 'check_backend', 'checked_device', 'compare',
           'count_macs', 'curves', 'dc_checkerboard_index', 'exponents', 'file_stem', 'fit_to_map',
           'folded', 'grid_peak_ratio', 'grow_all', 'hotspots', 'impulse_response', 'interleave',
           'machine', 'macs_by_module', 'measure', 'measure_all', 'offsets', 'out_of_band_ratio',
           'peak_memory', 'power_spectrum', 'predict', 'principal_component', 'project',
           'quartiles', 'radial_profile', 'recording', 'stop_band_share', 'upsampling_steps']
