"""From ``upsampler=dict(type='DySample', ...)`` in a slot to a module."""
import difflib
import inspect
from collections.abc import Set
from typing import Optional

from mmups.registry import MODELS

from .base import BaseUpsampler
from .interpolate import MODES

#: What a slot knows, and a config need not say; ``out_channels`` too of a class that can change the
#: channels.
SET_BY_THE_SLOT = {'in_channels', 'scale_factor', 'guide_channels'}
#: What mmengine may leave in a config: the scope of a foreign base, and ``_delete_=True`` where
#: nothing was inherited.
SET_BY_MMENGINE = {'_scope_', '_delete_'}


def registered_upsamplers() -> dict[str, type]:
    """Every upsampler that mmups knows by its short name, sorted by name.

    >>> registered_upsamplers()['CARAFE'].guided
    False
    """
    MODELS.import_from_location()
    return {name: cls for name, cls in sorted(MODELS.module_dict.items())
            if inspect.isclass(cls) and issubclass(cls, BaseUpsampler)}


def resolve_upsampler(cfg: dict) -> tuple[type, dict]:
    """Class and arguments of a configured upsampler.

    Args:
        cfg: As in :func:`build_upsampler`.

    Raises:
        ValueError: The type is unknown or no upsampler.
        TypeError: ``cfg`` has a key that the type does not take, or no slot can build the type.

    >>> resolve_upsampler(dict(mode='nearest'))[1]
    {'mode': 'nearest'}
    """
    if not isinstance(cfg, dict):
        raise ValueError(f"an upsampler is configured by a dict such as dict(type='DySample'), got "
                         f'{cfg!r}')
    args = {key: value for key, value in cfg.items() if key not in SET_BY_MMENGINE}
    if 'type' not in args:  # F.interpolate's default, which is not that of Interpolate
        args = {'mode': 'nearest', **args}
    name = args.pop('type', 'Interpolate')
    cls = MODELS.get(name) if isinstance(name, str) and name else name
    if not (inspect.isclass(cls) and issubclass(cls, BaseUpsampler)):
        raise ValueError(f'upsampler type {name!r} is not an upsampler of mmups'
                         f'{_did_you_mean(name)}; registered: {", ".join(registered_upsamplers())}')
    keys, is_open = _keys(cls)
    if lacking := _set_by_the_slot(cls) - keys:
        raise TypeError(
            f'{cls.__name__} takes no {" and no ".join(sorted(lacking))} by keyword; a slot builds '
            f'{cls.__name__}(in_channels=..., scale_factor=..., guide_channels=..., and the keys '
            'of the config)')
    if not is_open and (unknown := args.keys() - keys):
        raise TypeError(_unknown_keys(cls, unknown))
    return cls, args


def build_upsampler(cfg: dict, in_channels: int, guide_channels: Optional[int] = None,
                    scale_factor: int = 2, out_channels: Optional[int] = None) -> BaseUpsampler:
    """Build the upsampler of one slot.

    Args:
        cfg: ``type`` and the method's own arguments. A short type is looked up in mmups first, a
            prefixed one (``myproject.MyUpsampler``) in its project. Without a ``type`` it is read
            in the hosts' dialect, ``dict(mode='nearest')``, which is :class:`Interpolate`.
        in_channels: Channels of the map to upsample.
        guide_channels: Channels of the guide that the slot has; None: it has none.
        scale_factor: Ratio of the fine to the coarse size in this slot.
        out_channels: Channels of the result, for a class that ``changes_channels``; None: as many
            as come in.

    Raises:
        ValueError: The type is unknown or no upsampler, needs a guide that the slot does not
            have, cannot change the channels, or ``cfg`` contradicts what the slot knows.
        TypeError: ``cfg`` has a key that the type does not take, or no slot can build the type.

    >>> build_upsampler(dict(type='DySample', groups=8), 64)(torch.rand(1, 64, 8, 8)).shape
    torch.Size([1, 64, 16, 16])
    """
    cls, args = resolve_upsampler(cfg)
    slot = dict(in_channels=in_channels, scale_factor=scale_factor, guide_channels=guide_channels)
    if cls.changes_channels:
        slot['out_channels'] = in_channels if out_channels is None else out_channels
    elif out_channels not in (None, in_channels):
        raise ValueError(f'{cls.__name__} keeps the channels of a map, and this slot needs '
                         f'{in_channels} to become {out_channels}')
    for key in slot.keys() & args.keys():
        if args.pop(key) != slot[key]:
            raise ValueError(f'{key}={cfg[key]!r} contradicts the slot, which sets '
                             f'{key}={slot[key]!r}; remove it from {dict(cfg)}')
    if cls.guided and guide_channels is None:
        unguided = ', '.join(k for k, v in registered_upsamplers().items() if not v.guided)
        raise ValueError(f'{cls.__name__} needs a guide, and this slot has none (guide_channels='
                         f'None); methods that need no guide: {unguided}')
    try:
        return cls(**slot, **args)
    except TypeError as error:
        if unknown := args.keys() - _keys(cls)[0]:
            raise TypeError(f'{_unknown_keys(cls, unknown)} ({error})') from error
        raise


def _set_by_the_slot(cls: type) -> set[str]:
    return SET_BY_THE_SLOT | ({'out_channels'} if cls.changes_channels else set())


def _keys(cls: type) -> tuple[set[str], bool]:
    """Names of a constructor's arguments, and whether it may take others.

    Where it takes ``**kwargs`` the arguments of the next constructor in line are its own, too, and
    what else is in them is known to nobody but itself.
    """
    keys, is_open = set(), False
    for parent in cls.__mro__:
        if '__init__' not in vars(parent):
            continue
        _, *parameters = inspect.signature(vars(parent)['__init__']).parameters.values()
        keys |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
        is_open = True
    return keys, is_open


def _unknown_keys(cls: type, unknown: Set[str]) -> str:
    """What to say of keys that a type does not take: a typo, or another type's, inherited."""
    message = (f'{cls.__name__} does not take {sorted(unknown)}; its keys are '
               f'{sorted(_keys(cls)[0] - _set_by_the_slot(cls))}')
    shared = {name: unknown & _keys(other)[0] for name, other in registered_upsamplers().items()}
    most = max(map(len, shared.values()))
    if not most:
        return message
    owners = [name for name, keys in shared.items() if len(keys) == most]
    return (f'{message}. {sorted(set().union(*(shared[name] for name in owners)))} are keys of '
            f'{", ".join(owners)}: a config that inherits them drops them by '
            'upsampler=dict(_delete_=True, type=...), a command line by --cfg-options '
            '<...>.upsampler._delete_=True <...>.upsampler.type=...')


def _did_you_mean(name: object) -> str:
    """The right spelling of a type, such as the lower-case ones of the authors' forks."""
    def plain(text):
        return text.casefold().replace('_', '').replace('-', '')

    spellings = {plain(mode): f"dict(type='Interpolate', mode={mode!r})" for mode in MODES}
    spellings |= {plain(known): f'type={known!r}' for known in registered_upsamplers()}
    close = difflib.get_close_matches(plain(str(name).rpartition('.')[2]), spellings, n=1,
                                      cutoff=0.8)
    return f' (did you mean {spellings[close[0]]}?)' if close else ''
