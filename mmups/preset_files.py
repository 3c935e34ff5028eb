"""The papers' variants of the upsamplers, by the names of their files in ``configs``."""
from pathlib import Path

from mmengine.config import Config

from mmups.models.upsamplers import registered_upsamplers

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / '.mim/configs'
#: Where the configs of this package are, installed or in a checkout.
CONFIGS = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / 'configs'


def presets() -> dict[str, dict]:
    """Name of each preset -> the upsampler's config, sorted by name.

    >>> presets()['dysample-s-plus']
    {'type': 'DySample', 'style': 'pl', 'groups': 8, 'dyscope': True}
    """
    return {path.stem: Config.fromfile(path).upsampler.to_dict()
            for path in sorted((CONFIGS / '_base_/upsamplers').glob('*.py'))}


def upsampler_named(name: str) -> dict:
    """The config of an upsampler.

    Args:
        name: A preset, ``'dysample-s-plus'``; or a type, ``'DySample'`` or, of another project,
            ``'myproject.MyUpsampler'``.

    Raises:
        ValueError: There is no such preset or type.
    """
    known, types = presets(), registered_upsamplers()
    if name in known:
        return known[name]
    if name not in types and '.' not in name:
        raise ValueError(f'there is no upsampler {name!r}; types: {", ".join(types)}; presets: '
                         f'{", ".join(known)}')
    return dict(type=name)
