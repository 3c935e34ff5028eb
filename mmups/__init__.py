"""Feature upsampling for OpenMMLab.

Importing the package is cheap on purpose: mmengine imports it whenever a config names a type
``mmups.X``, and an error raised here would be swallowed there.
"""
from .light_mmcv import accept_light_mmcv
from .version import __version__

accept_light_mmcv()

__all__ = ['__version__', 'list_sites', 'swap_upsampler']


def __getattr__(name: str):
    if name in ('list_sites', 'swap_upsampler'):
        from . import swap
        return getattr(swap, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
