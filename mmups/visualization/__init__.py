"""Pictures of what models and upsamplers do."""
from .sheet import draw_sheet
from .speed import draw_bars, draw_growth

__all__ = ['draw_bars', 'draw_growth', 'draw_sheet']
