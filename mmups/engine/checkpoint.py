"""Checkpoints: whether one fits, and what ``torch.load(weights_only=True)`` may read of it."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseTTAModel, is_model_wrapper
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
        raise ValueError(f'this checkpoint may not fetch {name!r} of {owner!r}, which none of '
                         'mmengine needs; if you trust it, load it with the code that wrote it')
    return getattr(owner, name)


def check_weights(model: nn.Module, path: str, exact: bool = False) -> None:
    """See that a checkpoint is one of this model, before a host loads what fits and is silent.

    The model's weights are the checkpoint's afterwards. What wraps the model or a part of it
    (``DistributedDataParallel`` and its kin, test-time augmentation, ``torch.compile``) has no
    say, neither here nor where the checkpoint was written.

    Args:
        model: The model, wrapped or not. In several processes, all of them have to call this.
        path: The checkpoint.
        exact: True: the checkpoint may not have weights besides, as where training goes on from
            the state of an optimizer.

    Raises:
        ValueError: It lacks weights of the model, has them in other shapes or, if ``exact``, has
            others besides; or it is no checkpoint at all.
        FileNotFoundError: There is no such file.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'{path} is no checkpoint: it holds no dict of weights, but a '
                         f'{type(checkpoint if state is None else state).__name__}')
    own = model.state_dict()
    names = {_unwrapped(model, key): key for key in own}
    state = {_key(name, names): value for name, value in state.items()}
    other = [key for key in state if key in own and np.shape(own[key]) != np.shape(state[key])]
    missing, besides = model.load_state_dict(
        {key: value for key, value in state.items() if key not in other}, strict=False)
    missing = [key for key in missing if key not in other]
    faults = [f'{_unwrapped(model, key)!r} is missing' for key in missing]
    faults += [f'{_unwrapped(model, key)!r} has the shape {tuple(np.shape(state[key]))}, not '
               f'{tuple(np.shape(own[key]))}' for key in other]
    faults += [f'{key!r} is not in the model' for key in besides if exact]
    if faults:
        surplus = f'; it has {len(besides)} besides' if exact and besides else ''
        raise ValueError(
            f"{path} is no checkpoint of this config's model: of {len(own)} weights "
            f'{len(missing)} are missing and {len(other)} have another shape{surplus} '
            f'({faults[0]}). Was it trained with another config?')


def _key(name: str, names: dict[str, str]) -> str:
    """The key of a model's weight that a checkpoint calls ``name``, whatever wrapped the model."""
    name = name.replace('_orig_mod.', '')
    while name not in names and name.startswith('module.'):  # not a part of the model's own name
        name = name.removeprefix('module.')
    return names.get(name, name)


def _unwrapped(model: nn.Module, key: str) -> str:
    """A key of ``model.state_dict()`` as it would be without wrappers."""
    module, names = model, []
    for name in key.split('.'):
        wrapper = is_model_wrapper(module) or isinstance(module, BaseTTAModel)
        if not (wrapper and name == 'module' or name == '_orig_mod'):
            names.append(name)
        module = getattr(module, name, None)
    return '.'.join(names)


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
