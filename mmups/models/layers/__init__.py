"""Host-free plumbing between slots and upsamplers."""
from .factor import whole_factor
from .host_resize import HostResize
from .hr_module import HRModule
from .initialisation import UpsamplersLast
from .ladder import build_ladder, climb, lift
from .slot import SLOT_OF, NoSite, Slot, register_slot
from .top_down import add_to_guide, extra_levels, top_down
from .up_conv import UpConv
from .upsample_step import UpsampleStep

__all__ = [
    'SLOT_OF', 'HRModule', 'HostResize', 'NoSite', 'Slot', 'UpConv', 'UpsampleStep',
    'UpsamplersLast', 'add_to_guide', 'build_ladder', 'climb', 'extra_levels', 'lift',
    'register_slot', 'top_down', 'whole_factor'
]
