"""Which class of a host is replaced by which slot, and by which keys its sites are configured."""
from collections.abc import Callable
from dataclasses import dataclass

from mmups.registry import MODELS


class NoSite(ValueError):
    """With these arguments the slot upsamples nothing, so that it has no use for an upsampler."""


@dataclass(frozen=True)
class Slot:
    """A class of mmups in place of a host's.

    Attributes:
        cls: The class of mmups.
        keys: Config keys of the sites that are swapped unless a user says otherwise.
        optional: Config keys of further sites (final logits, fusions).
    """

    cls: type
    keys: tuple[str, ...]
    optional: tuple[str, ...]


#: Class of a host -> its slot. Subclasses of the host class are classes of their own.
SLOT_OF: dict[type, Slot] = {}


def register_slot(host: type, keys: tuple[str, ...] = ('upsampler', ),
                  optional: tuple[str, ...] = ()) -> Callable[[type], type]:
    """Decorator: the class joins the registry under its name, and replaces ``host`` in swaps.

    Args:
        host: The class that is replaced. The slot takes its arguments and ``keys``; without any
            of these it computes what ``host`` does.
        keys: As in :class:`Slot`.
        optional: As in :class:`Slot`.
    """
    def register(cls: type) -> type:
        MODELS.register_module()(cls)
        SLOT_OF[host] = Slot(cls, keys, optional)
        return cls
    return register
