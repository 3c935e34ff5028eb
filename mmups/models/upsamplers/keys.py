"""Checkpoints of networks whose names differ from ours."""
from collections.abc import Collection

from torch import Tensor


def rename_keys(state_dict: dict[str, Tensor], old: str, new: str, but: Collection[str] = ()
                ) -> None:
    """Let keys of a state dict that start with ``old`` start with ``new``.

    Args:
        state_dict: Changed in place.
        old, new: Prefixes.
        but: What may follow on ``old`` and stay as it is.
    """
    for key in [key for key in state_dict if key.startswith(old)]:
        if (name := key.removeprefix(old)) not in but:
            state_dict[f'{new}{name}'] = state_dict.pop(key)
