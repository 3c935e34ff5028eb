"""Pictures of what models and upsamplers do."""
from .sheet import draw_sheet

__all__ = ['draw_sheet']
