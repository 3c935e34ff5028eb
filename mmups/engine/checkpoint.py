"""Letting ``torch.load(weights_only=True)`` read what mmengine writes into checkpoints."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def _statistic(cls: type, name: str):
    """What ``getattr`` may do in a checkpoint: fetch a statistic of :class:`HistoryBuffer`.

    mmengine pickles the functions min, max, mean and current of each log history by reference,
    and pickle writes such a reference as a call of ``getattr``.
    """
    if cls is not HistoryBuffer or name not in HistoryBuffer._statistics_methods:
        raise ValueError(f'a checkpoint may not fetch {name!r} of {cls!r}; it was not written by '
                         'mmengine, or registers statistics of its own')
    return HistoryBuffer._statistics_methods[name]


def allow_training_state() -> None:
    """Allow-list what the training state of an mmengine checkpoint is made of, and nothing else.

    PyTorch 2.6 and newer refuse classes that they do not know, which breaks ``--resume`` and the
    test of one's own checkpoints: mmengine stores its log history (:class:`HistoryBuffer`, which
    holds NumPy arrays of numbers). A checkpoint can still not run code of its own.
    """
    if not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):  # before 2.6
        return
    HistoryBuffer()  # fills the table of statistics
    core = np._core if hasattr(np, '_core') else np.core  # NumPy 2 renamed it
    dtypes = {type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'float32', 'float64')}
    torch.serialization.add_safe_globals([
        HistoryBuffer, (_statistic, 'builtins.getattr'), np.ndarray, np.dtype,
        core.multiarray._reconstruct, core.multiarray.scalar, *dtypes])
