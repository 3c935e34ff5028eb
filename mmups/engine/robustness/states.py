"""What an attack changes of a model and of random numbers, and gives back however it ends."""
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The model in eval mode, without gradients for its parameters."""
    training = {module: module.training for module in model.modules()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in training.items():
            module.training = mode
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def losing(model: nn.Module) -> Iterator[None]:
    """What computes losses is in training mode, as the losses of many detectors ask for. What
    normalises or drops out keeps its own."""
    heads = [module for module in model.modules() if not module.training and any(
        callable(getattr(module, name, None)) for name in ('loss', 'loss_by_feat'))]
    try:
        for module in heads:
            module.training = True
        yield
    finally:
        for module in heads:
            module.training = False


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from a seed, without a trace afterwards."""
    state = np.random.get_state()
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
