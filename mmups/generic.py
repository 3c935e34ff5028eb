"""Sites in classes that have no slot, found by watching what a module interpolates."""
from collections import Counter
from dataclasses import replace
from typing import Any, Optional, Union

import torch
from torch import nn

from mmups.models.layers import InterceptedStep, NoSite, traced_steps

from .probe import run
from .sites import Model, Site, Step


def generic_site(model: Model, site: Site, kind: Union[str, type]) -> Optional[Site]:
    """The interpolations of a whole backbone, neck or head as a site.

    Args:
        model: The config's model.
        site: Where it is, and its class; a reason that it has is that of a class without a slot.
        kind: The class, or what the registry knows it by from everywhere.

    Returns:
        None where the module interpolates nothing, or takes more than maps.
    """
    maps = model.maps(site.location)
    if maps is None:
        return None
    try:
        module = model.build(site.location)
        calls = traced_steps(module, lambda: _run(module, maps),
                             lambda: _run(module, _doubled(maps)))
    except NoSite:
        return None
    except ValueError as error:  # calls that cannot be counted
        return replace(site, reason=f'its interpolations cannot be listed: {error}')
    except Exception:  # the host's, of one that takes more than maps
        return None
    steps = tuple(step for call in calls for step in InterceptedStep.of(*call))
    counts = Counter(step.channels for step in steps)
    return replace(
        site, slot='mmups.Intercept', key='upsampler', reason=None, declared=steps,
        options=dict(host=kind, steps=calls),
        steps=tuple(Step(channels, 2, None, count) for channels, count in counts.items()))


def _run(module: nn.Module, maps: Any) -> None:
    """Run a module; whatever that raises is a RuntimeError, and none that says why its calls cannot
    be counted."""
    try:
        run(module, maps)
    except Exception as error:
        raise RuntimeError('the host cannot be run') from error


def _doubled(maps: Any) -> Any:
    """Maps of twice the size, of two images; a class token beside them has no size."""
    if torch.is_tensor(maps):
        n, c, *size = maps.shape
        return maps.new_zeros((2 * n, c, *(2 * side for side in size)))
    return type(maps)(map(_doubled, maps))
