"""Feature upsampling for OpenMMLab.

Importing the package is cheap on purpose: mmengine imports it whenever a config names a type
``mmups.X``, and an error raised here would be swallowed there.
"""
from .version import __version__

__all__ = ['__version__']
