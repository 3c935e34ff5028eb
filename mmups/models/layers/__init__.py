"""Host-free plumbing between slots and upsamplers."""
from .ladder import build_ladder, climb
from .slot import SLOT_OF, NoSite, Slot, register_slot
from .top_down import top_down

__all__ = ['SLOT_OF', 'NoSite', 'Slot', 'build_ladder', 'climb', 'register_slot', 'top_down']
