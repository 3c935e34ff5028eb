"""Upsamplers, and slots for them in the hosts that are installed."""
from importlib import import_module
from importlib.util import find_spec

from mmups.registry import MODELS

from .upsamplers import *  # noqa: F401,F403

#: Host package -> (module with its slots, the slots' names)
SLOTS = {
    'mmdet': ('mmups.models.det', ('FPN', 'FCNMaskHead', 'PanopticFPNHead')),
    'mmseg': ('mmups.models.seg', ('SegformerHead', )),
}


def _register_missing(name: str, host: str) -> None:
    """Let a slot of an absent host say what to install when a config names it."""

    def missing(*args, **kwargs):
        raise ImportError(f'mmups.{name} extends {host}, which is not installed: '
                          f'pip install "mmups[{host}]"')

    MODELS.register_module(name=name, module=missing)


for _host, (_module, _names) in SLOTS.items():
    if find_spec(_host):
        import_module(_module)
    else:
        for _name in _names:
            _register_missing(_name, _host)
