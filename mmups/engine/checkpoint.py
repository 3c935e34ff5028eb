"""Letting ``torch.load(weights_only=True)`` read what mmengine writes into checkpoints."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

#: The functions that mmengine stores by reference: of each log history, and of one schedule.
FUNCTIONS = {
    HistoryBuffer: ('min', 'max', 'current', 'mean'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}


def _getattr(owner: type, name: str):
    """What ``getattr`` may do in a checkpoint: pickle writes a function of a class as a call of it.

    Raises:
        ValueError: Anything but one of :data:`FUNCTIONS`.
    """
    if name not in FUNCTIONS.get(owner, ()):
        raise ValueError(f'a checkpoint may not fetch {name!r} of {owner!r}; it was not written by '
                         'mmengine, or with additions to it')
    return getattr(owner, name)


def allow_training_state() -> None:
    """Allow-list what the training state of an mmengine checkpoint is made of, and nothing else.

    PyTorch 2.6 and newer refuse classes that they do not know, which breaks ``--resume`` and the
    test of one's own checkpoints: mmengine stores its log history (:class:`HistoryBuffer`, which
    holds NumPy arrays of numbers) and its schedules. A checkpoint can still not run code.
    """
    if not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):  # before 2.6
        return
    core = np._core if hasattr(np, '_core') else np.core  # NumPy 2 renamed it
    dtypes = {type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'float32', 'float64')}
    torch.serialization.add_safe_globals([
        *FUNCTIONS, (_getattr, 'builtins.getattr'), np.ndarray, np.dtype,
        core.multiarray._reconstruct, core.multiarray.scalar, *dtypes])
