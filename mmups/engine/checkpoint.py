"""Checkpoints: whether one fits, and what ``torch.load(weights_only=True)`` may read of it."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

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


def check_weights(model: nn.Module, path: str) -> None:
    """See that a checkpoint is one of this model, before a host loads what fits and is silent.

    The model's weights are the checkpoint's afterwards. Weights that it has besides do not matter.

    Raises:
        ValueError: It lacks weights of the model, or has them in other shapes.
        FileNotFoundError: There is no such file.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    state = {key.removeprefix('module.'): value
             for key, value in checkpoint.get('state_dict', checkpoint).items()}
    own = model.state_dict()
    other = [key for key in state if key in own and own[key].shape != state[key].shape]
    missing, _ = model.load_state_dict(
        {key: value for key, value in state.items() if key not in other}, strict=False)
    missing = [key for key in missing if key not in other]
    if missing or other:
        example = f'{missing[0]!r} is missing' if missing else (
            f'{other[0]!r} has the shape {tuple(state[other[0]].shape)}, not '
            f'{tuple(own[other[0]].shape)}')
        raise ValueError(
            f"{path} is no checkpoint of this config's model: of {len(own)} weights "
            f'{len(missing)} are missing and {len(other)} have another shape ({example}). Was it '
            'trained with another config?')


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
