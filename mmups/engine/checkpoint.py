"""Letting ``torch.load(weights_only=True)`` read what mmengine writes into checkpoints."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def allow_training_state() -> None:
    """Allow-list the classes in the training state of an mmengine checkpoint, and only those.

    Since PyTorch 2.6 ``torch.load`` refuses classes that it does not know, which breaks
    ``--resume`` and the test of one's own checkpoints: mmengine stores its log history
    (:class:`HistoryBuffer`, which holds NumPy arrays of numbers). A checkpoint can still not
    run code.
    """
    if not hasattr(torch.serialization, 'add_safe_globals'):  # PyTorch < 2.4 has no such list
        return
    core = np._core if hasattr(np, '_core') else np.core  # NumPy 2 renamed it
    dtypes = {type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'float32', 'float64')}
    torch.serialization.add_safe_globals([
        HistoryBuffer, np.ndarray, np.dtype, core.multiarray._reconstruct,
        core.multiarray.scalar, *dtypes])
