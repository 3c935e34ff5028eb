"""Names of the authors' forks of mmdet and mmseg, and what takes their place here."""
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS as ROOT

#: Class of a fork (tiny-smart/detection-with-upsamplers, its sister for mmseg) -> slot.
REPLACED_BY = {'FPN_UPSAMPLE': 'mmups.FPN', 'SegformerHead_Upsample': 'mmups.SegformerHead'}


def refuse_forks(cfg: Config) -> None:
    """See that a config's model has no class of a fork, unless the user brought that class along.

    Raises:
        ValueError: It has; the message says how the same is written here.
    """
    for name in _types(cfg.get('model')):
        slot = REPLACED_BY.get(name.rpartition('.')[-1])
        if slot is None:
            continue
        with ROOT.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            if registry.get(name) is None:
                raise ValueError(
                    f"type={name!r} is a class of the authors' fork; here it is type={slot!r} with "
                    "upsampler=dict(type='DySample', ...) in the place of upsample_cfg")


def _types(node: Any) -> Iterator[str]:
    """Every type in a config that is named by a string."""
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield node['type']
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _types(value)
