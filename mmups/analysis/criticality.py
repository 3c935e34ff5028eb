"""How much of a model hangs on what its upsampling steps have learned.

One step after the other is reset, the rest stays trained, and the model is measured again: the
criticality of layers of Zhang, Bengio and Singer, "Are All Layers Created Equal?"
(arXiv:1902.01996), with upsampling steps for layers.
"""
import copy
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler, build_upsampler

from .steps import upsampling_steps


class Reset(NamedTuple):
    """A step of a model, and what takes its place.

    Attributes:
        step: Name of the module in the model.
        kind: 'fresh', as it was before training; 'bilinear', plain interpolation; 'fresh NAME',
            one of the paths of the step as before training.
        module: In eval mode.
    """
    step: str
    kind: str
    module: nn.Module


def resets_of(model: nn.Module, seed: int = 0) -> list[Reset]:
    """Every reset of every upsampling step, in the order of the model. A step without parameters
    has no fresh state.

    Args:
        model: With upsamplers of mmups; it stays as it is.
        seed: Of the fresh weights; the generator of the caller is left alone.

    Raises:
        ValueError: There is no upsampling step.
    """
    found = []
    for name, step in upsampling_steps(model).items():
        if list(step.parameters()):
            found.append(Reset(name, 'fresh', _fresh(step, name, seed)))
            found += [Reset(name, f'fresh {path}', _fresh_path(step, path, name, seed))
                      for path in step.paths()]
        found.append(Reset(name, 'bilinear', _bilinear(step)))
    for reset in found:
        reset.module.eval()
    return found


@contextmanager
def in_place(model: nn.Module, reset: Reset) -> Iterator[None]:
    """The model with one step reset, for as long as the context lasts."""
    parent_name, _, key = reset.step.rpartition('.')
    parent = model.get_submodule(parent_name)
    trained = parent._modules[key]
    parent._modules[key] = reset.module
    try:
        yield
    finally:
        parent._modules[key] = trained


def agreement(labels: Tensor, other: Tensor) -> float:
    """Share of equal entries of two label maps of the same shape."""
    return (labels == other).double().mean().item()


def cosine(logits: Tensor, other: Tensor) -> float:
    """Mean cosine between the class probabilities of two predictions.

    Args:
        logits: (K, H, W); with K = 1 those of the second of two classes.
        other: The same.
    """
    def probabilities(x):
        x = x.double()
        return (torch.cat((torch.zeros_like(x), x)) if len(x) == 1 else x).softmax(0)

    return torch.cosine_similarity(probabilities(logits), probabilities(other), dim=0).mean().item()


def _fresh(step: BaseUpsampler, name: str, seed: int) -> BaseUpsampler:
    fresh = copy.deepcopy(step)
    with torch.random.fork_rng():
        # The same draw for a step whatever is reset besides, and other ones for its neighbours.
        torch.manual_seed(seed + zlib.crc32(name.encode()))
        fresh.init_weights()
    for module in fresh.modules():  # statistics of batch norms were learned, too
        if hasattr(module, 'reset_running_stats'):
            module.reset_running_stats()
    return fresh


def _fresh_path(step: BaseUpsampler, path: str, name: str, seed: int) -> BaseUpsampler:
    fresh, mixed = _fresh(step, name, seed), copy.deepcopy(step)
    mixed.paths()[path].load_state_dict(fresh.paths()[path].state_dict())
    return mixed


def _bilinear(step: BaseUpsampler) -> BaseUpsampler:
    return build_upsampler(dict(type='Interpolate', mode='bilinear'), step.in_channels,
                           step.guide_channels, step.scale_factor)
