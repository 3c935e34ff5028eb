"""Host-free plumbing between slots and upsamplers."""
from .ladder import climb
from .top_down import top_down

__all__ = ['climb', 'top_down']
