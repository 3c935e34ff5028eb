"""The same start for models that differ in their upsamplers alone."""
import logging
import warnings
from contextlib import contextmanager

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler


def build_model(cfg: Config) -> nn.Module:
    """The model of a config, for one process."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the hosts
        model = MODELS.build(ConfigDict(cfg.model, _scope_=cfg.get('default_scope')))
    return revert_sync_batchnorm(model)


@contextmanager
def unlogged():
    """mmengine lists every parameter that it initialises."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def shared_state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state of everything in a model that is not of an upsampler."""
    own = tuple(f'{name}.' for name, module in model.named_modules()
                if isinstance(module, BaseUpsampler))
    return {key: value.clone() for key, value in model.state_dict().items()
            if not key.startswith(own)}


def share(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a model the state of another one, where both have the same.

    Args:
        model: Its upsamplers stay as they are; so does what the other model has in another shape,
            as where a method changes channels by itself.
        state: As of :func:`shared_state`.
    """
    own = shared_state(model)
    model.load_state_dict({key: value for key, value in state.items()
                           if key in own and own[key].shape == value.shape}, strict=False)


def start_alike(runner: Runner, baseline: Config, seed: int) -> None:
    """Have a runner train from the weights of a baseline, and by the same random numbers.

    Without this, an upsampler that draws random numbers when it is built changes the initial
    weights of all that is built after it. With it, models of one seed begin with the same weights
    in all that is no upsampler, see the same data in the same order, and draw the same numbers as
    long as they draw equally many. Weights of ``load_from``, or of a checkpoint to resume from, are
    loaded over these as always.

    Args:
        runner: Built, and not trained yet. Its model is initialised here, once: mmengine would do
            it when training begins, and models that initialise parts themselves (those of the DETR
            family) would then lose what they were given.
        baseline: The same config with bilinear interpolation.
        seed: Of both.
    """
    model = runner.model
    with unlogged():
        set_random_seed(seed)
        first = build_model(baseline)
        first.init_weights()
        set_random_seed(seed)
        model.init_weights()
    share(model, {key: value.to(_device(model)) for key, value in shared_state(first).items()})
    model.init_weights = _done
    runner.set_randomness(**runner.cfg.randomness)


def _done() -> None:
    """Weights that are initialised already."""


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
