"""A thin config that inherits another one."""
from mmengine.config import Config


def child_config(base: str, cfg: Config, swapped: Config) -> str:
    """Text of a config that inherits ``cfg`` and has the model of ``swapped``.

    Args:
        base: ``_base_`` of the new config, which must load as ``cfg``.
        cfg: What was swapped.
        swapped: What :func:`mmups.swap_upsampler` made of it.
    """
    changes = difference(cfg.model.to_dict(), swapped.model.to_dict())
    return f'_base_ = {base!r}\n{Config(dict(model=changes)).pretty_text}'


def difference(old: dict, new: dict) -> dict:
    """What a child config says to turn ``old`` into ``new``: mmengine merges dicts and replaces
    everything else, lists as a whole."""
    if old.keys() - new.keys():
        return dict(new, _delete_=True)
    changes = {}
    for key, value in new.items():
        if isinstance(value, dict) and key in old:
            if not isinstance(old[key], dict):
                changes[key] = dict(value, _delete_=True)
            elif change := difference(old[key], value):
                changes[key] = change
        elif key not in old or old[key] != value:
            changes[key] = value
    return changes
