"""From ``upsampler=dict(type='DySample', ...)`` in a slot to a module."""
import inspect
from typing import Optional

from mmups.registry import MODELS

from .base import BaseUpsampler

#: What a slot knows, and a config need not say.
SET_BY_THE_SLOT = {'in_channels', 'scale_factor', 'guide_channels'}


def registered_upsamplers() -> dict[str, type]:
    """Every upsampler that mmups knows by its short name, sorted by name."""
    MODELS.import_from_location()
    return {name: cls for name, cls in sorted(MODELS.module_dict.items())
            if inspect.isclass(cls) and issubclass(cls, BaseUpsampler)}


def resolve_upsampler(cfg: dict) -> tuple[type, dict]:
    """Class and arguments of a configured upsampler.

    Args:
        cfg: As in :func:`build_upsampler`.

    Raises:
        ValueError: The type is unknown or no upsampler.
        TypeError: ``cfg`` has a key that the type does not take.
    """
    if not isinstance(cfg, dict):
        raise ValueError(f"an upsampler is configured by a dict such as dict(type='DySample'), got "
                         f'{cfg!r}')
    args = {key: value for key, value in cfg.items() if key != '_scope_'}  # of a foreign base
    name = args.pop('type', 'Interpolate')
    cls = MODELS.get(name) if isinstance(name, str) else name
    if not (inspect.isclass(cls) and issubclass(cls, BaseUpsampler)):
        raise ValueError(f'upsampler type {name!r} is not an upsampler of mmups; registered: '
                         f'{", ".join(registered_upsamplers())}')
    if unknown := args.keys() - inspect.signature(cls).parameters.keys():
        known = inspect.signature(cls).parameters.keys() - SET_BY_THE_SLOT
        raise TypeError(f'{cls.__name__} does not take {sorted(unknown)}; its keys are '
                        f'{sorted(known)}')
    return cls, args


def build_upsampler(cfg: dict, in_channels: int, guide_channels: Optional[int] = None,
                    scale_factor: int = 2) -> BaseUpsampler:
    """Build the upsampler of one slot.

    Args:
        cfg: ``type`` and the method's own arguments. A short type is looked up in mmups first, a
            prefixed one (``myproject.MyUpsampler``) in its project. Without a ``type`` it is read
            in the hosts' dialect, ``dict(mode='nearest')``, which is :class:`Interpolate`.
        in_channels: Channels of the map to upsample.
        guide_channels: Channels of the guide that the slot has; None: it has none.
        scale_factor: Ratio of the fine to the coarse size in this slot.

    Raises:
        ValueError: The type is unknown or no upsampler, needs a guide that the slot does not
            have, or ``cfg`` contradicts what the slot knows.
        TypeError: ``cfg`` has a key that the type does not take.
    """
    cls, args = resolve_upsampler(cfg)
    slot = dict(in_channels=in_channels, scale_factor=scale_factor, guide_channels=guide_channels)
    for key in slot.keys() & args.keys():
        if args.pop(key) != slot[key]:
            raise ValueError(f'{key}={cfg[key]!r} contradicts the slot, which sets '
                             f'{key}={slot[key]!r}; leave it out of {dict(cfg)}')
    if cls.guided and guide_channels is None:
        unguided = ', '.join(k for k, v in registered_upsamplers().items() if not v.guided)
        raise ValueError(f'{cls.__name__} needs a guide, and this slot has none (guide_channels='
                         f'None); without a guide work: {unguided}')
    return cls(**slot, **args)
