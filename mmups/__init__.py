"""Feature upsampling for OpenMMLab.

Importing the package is cheap on purpose: mmengine imports it whenever a config names a type
``mmups.X``, and an error raised here would be swallowed there.
"""
from .hosts import prepare_imports
from .version import __version__

prepare_imports()

__all__ = ['__version__', 'list_sites', 'presets', 'swap_upsampler']


def __getattr__(name: str):
    if name in __all__:
        from . import swap
        return getattr(swap, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
