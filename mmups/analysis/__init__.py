"""What an upsampler costs: parameters, multiply-adds, time, memory, and the papers' tables."""
from .complexity import Cost, added_cost, count_macs
from .conditions import check_backend, file_stem, machine
from .growth import Growth, curves, exponents, grow_all
from .hotspots import Hotspot, hotspots
from .latency import Effort, Timing, interleave, quartiles
from .memory import peak_memory
from .paper_tables import HOSTS, Host, PaperSite
from .results import Results, compare
from .roofline import H100, predict
from .roofline_steps import Maps
from .speed import Bench, measure, measure_all
from .upsampler_bench import MEMORY_FORMATS, Passes, UpsamplerBench, checked_device

__all__ = ['Bench', 'Cost', 'Effort', 'Growth', 'H100', 'HOSTS', 'Host', 'Hotspot',
           'MEMORY_FORMATS', 'Maps',
           'PaperSite', 'Passes', 'Results', 'Timing', 'UpsamplerBench', 'added_cost',
           'check_backend', 'checked_device', 'compare', 'count_macs', 'curves', 'exponents',
           'file_stem', 'grow_all', 'hotspots', 'interleave', 'machine', 'measure', 'measure_all',
           'peak_memory', 'predict', 'quartiles']
