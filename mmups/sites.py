"""What a model upsamples, found by building its parts, and by running them on a small image.

Nothing here knows a model. What cannot be run in this way stays unknown, and is never a reason
against a site.
"""
import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as ROOT
from torch import Tensor, nn

from mmups.models.layers import NoSite, Slot
from mmups.models.upsamplers import BaseUpsampler

#: How the reason of a site begins that has no upsampling step with its arguments.
NOTHING = 'nothing to swap'
#: Side of the image, where the backbone does not say another one.
SIDE = 128
#: Keys whose values a constructor may read from a disk or a server, and sizes do not depend on.
WEIGHTS = ('pretrained', 'checkpoint', 'checkpoint_path')


class Misfit(Exception):
    """The maps of a step are not as far apart as its upsampler needs."""


class Probe(BaseUpsampler):
    """Tells the upsamplers of one site from all others, and whether they are given maps that fit.

    Raises:
        Misfit: In ``forward``, for a ``size`` that no upsampler of this factor can be fitted to.
    """

    def forward(self, x: Tensor, guide: Optional[Tensor] = None,
                size: Optional[tuple[int, int]] = None) -> Tensor:
        if size is not None and any(abs(target - self.scale_factor * n) >= self.scale_factor
                                    for target, n in zip(size, x.shape[2:])):
            fine, coarse = ('x'.join(map(str, shape)) for shape in (size, x.shape[2:]))
            raise Misfit(f'maps of {fine} and {coarse} are not x{self.scale_factor} apart')
        return self.upsample(x, guide) if size is None else F.interpolate(x, size=size)

    def upsample(self, x: Tensor, guide: Optional[Tensor]) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.scale_factor))


@dataclass(frozen=True)
class Step:
    """Equal upsampling steps of a site.

    Attributes:
        channels: Channels of the map.
        factor: Ratio of the fine to the coarse size.
        guide: Channels of the guide; None: there is none.
        count: How many there are.
    """

    channels: int
    factor: int
    guide: Optional[int]
    count: int = 1

    def __str__(self) -> str:
        guide = 'no guide' if self.guide is None else f'guide {self.guide}'
        return f'{self.count} x {self.channels}, x{self.factor}, {guide}'


@dataclass(frozen=True)
class Site:
    """A place in a model where an upsampler can be put, or the reason why it cannot.

    Attributes:
        path: Name of the site: the path of its module within the model, ``'neck'``,
            ``'roi_head.mask_head.1'``, and for a further site of the module its key,
            ``'decode_head.logits_upsampler'``.
        host: Class that is there now, ``'mmdet.FPN'``.
        slot: Class that takes its place, ``'mmups.FPN'``; None: there is none.
        key: Config key of the upsampler; None where there is no slot.
        steps: What is upsampled.
        optional: True: swapped only when asked for (final logits, fusions, teachers).
        reason: Why it cannot be swapped; None: it can.
        location: Keys and indices that lead from the model to the module's config.
        options: Further config keys that the slot needs in this model.
        misfit: Why only methods that reach any size in one step fit; None: all may.
    """

    path: str
    host: str
    slot: Optional[str] = None
    key: Optional[str] = None
    steps: tuple[Step, ...] = ()
    optional: bool = False
    reason: Optional[str] = None
    location: tuple = field(default=(), repr=False)
    options: dict = field(default_factory=dict, repr=False)
    misfit: Optional[str] = field(default=None, repr=False)

    @property
    def config_key(self) -> str:
        """Where the upsampler stands in the config."""
        return '.'.join(map(str, ('model', *self.location, *([self.key] if self.key else []))))

    def changes(self, upsampler: dict) -> dict:
        """What to set in the module's config."""
        return {'type': self.slot, **self.options, self.key: copy.deepcopy(upsampler)}


def at(node: Any, location: tuple) -> Any:
    """What lies below ``node`` at these keys and indices."""
    for step in location:
        node = node[step]
    return node


def put(node: dict, changes: dict) -> None:
    """Set keys of a config; mmengine's update() would merge an old and a new upsampler."""
    for key, value in changes.items():
        node[key] = value


class Model:
    """A config's model, whose parts can be built one by one.

    Args:
        cfg: The config, which is not changed.
    """

    def __init__(self, cfg: Config):
        self.cfg = copy.deepcopy(cfg.model)
        self.scope = cfg.get('default_scope')
        self._outputs: dict[tuple, Any] = {}  # stages -> what they make of an image
        self._depths: dict[tuple, list] = {}  # location -> what of it can be built
        for _, node, _ in self._walk(self.cfg, (), None):
            put(node, {key: None for key in WEIGHTS if key in node})

    def modules(self) -> Iterator[tuple[tuple, ConfigDict, Optional[str]]]:
        """Location, config and scope of everything that has a type, the model itself apart."""
        yield from ((location, node, scope) for location, node, scope in
                    self._walk(self.cfg, (), self.scope) if location and 'type' in node)

    def _walk(self, node, location, scope):
        if isinstance(node, dict):
            scope = node.get('_scope_', scope)
            yield location, node, scope
            for key, value in node.items():
                yield from self._walk(value, (*location, key), scope)
        elif isinstance(node, (list, tuple)):
            for index, value in enumerate(node):
                yield from self._walk(value, (*location, index), scope)

    def build(self, location: tuple, changes: Optional[dict] = None) -> nn.Module:
        """The module at ``location``, with changes to its config; where it cannot be built alone
        (Mask2Former's head hands its pixel decoder most arguments), a module that holds it."""
        failure = None
        for depth in self._depths.get(location, range(len(location), -1, -1)):
            node, scope = at(self.cfg, location[:depth]), self.scope
            if not isinstance(node, dict) or 'type' not in node:
                continue
            for end in range(depth + 1):
                if isinstance(above := at(self.cfg, location[:end]), dict):
                    scope = above.get('_scope_', scope)
            node = copy.deepcopy(node)
            put(at(node, location[depth:]), changes or {})
            try:
                with without_a_trace():
                    module = ROOT.build(ConfigDict(node, _scope_=scope))
            except NoSite:
                raise
            except Exception as error:  # whatever a host's constructor may raise
                failure = failure or error
            else:
                self._depths[location] = [depth]
                return module
        raise failure

    def probe(self, site: Site, slot: Slot) -> Site:
        """The site with its steps, or the reason why there are none."""
        try:
            site = replace(site, options={**site.options, **self._options(site, slot)})
            module = self.build(site.location, site.changes(dict(type=Probe)))
        except NoSite as error:
            return replace(site, reason=f'{NOTHING}: {error}')
        except Exception as error:
            return replace(site, reason=f'cannot be built: {type(error).__name__}: {error}')
        steps = Counter(Step(m.in_channels, m.scale_factor, m.guide_channels)
                        for m in module.modules() if isinstance(m, Probe))
        if not steps:
            return replace(site, reason=f'{NOTHING}: no step with these arguments')
        return replace(site, misfit=self._misfit(module, site, slot), steps=tuple(
            replace(step, count=count) for step, count in steps.items()))

    def fit(self, site: Site, upsampler: dict) -> Site:
        """The site, with a reason if it cannot take the upsampler."""
        if site.reason is not None:
            return site
        try:
            self.build(site.location, site.changes(upsampler))
        except (TypeError, ValueError) as error:
            return replace(site, reason=str(error))
        return site

    def _options(self, site: Site, slot: Slot) -> dict:
        """Keys that depend on the sizes of the maps, for which a slot has ``site_args``."""
        if not hasattr(slot.cls, 'site_args'):
            return {}
        try:
            return slot.cls.site_args(at(self.cfg, site.location), self.sizes(site.location))
        except Exception:
            if site.key in slot.optional:  # which works without them
                return {}
            raise

    def _misfit(self, module: nn.Module, site: Site, slot: Slot) -> Optional[str]:
        """What the probes in a module say of the maps that reach it; None: they fit, or unknown."""
        if all(m.guide_channels is None for m in module.modules() if isinstance(m, Probe)):
            return None  # a step without a guide has no other map to fit
        part = next((m for m in module.modules() if isinstance(m, slot.cls)), module)
        maps = self.maps(site.location)
        try:
            if maps is not None:
                run(part, maps)
        except Misfit as error:
            return (f'{error} in an image of {self._side(self._owner(site.location))} pixels a '
                    'side; only methods that reach any size in one step, such as Interpolate, fit')
        except Exception:  # called otherwise: with metas, earlier predictions, regions
            pass
        return None

    def sizes(self, location: tuple) -> Optional[list[tuple[int, int]]]:
        """(h, w) of the maps that reach ``location``; None: unknown."""
        maps = self.maps(location)
        maps = maps if isinstance(maps, (list, tuple)) else [maps]
        return [tuple(x.shape[2:]) for x in maps if torch.is_tensor(x) and x.dim() == 4] or None

    def maps(self, location: tuple) -> Any:
        """What reaches ``location`` from a small image, past the backbone and the necks that come
        before it; None: unknown."""
        owner = self._owner(location)
        if owner is None:
            return None
        stages = [('backbone', )]
        neck = at(self.cfg, owner).get('neck')
        if isinstance(neck, dict):
            stages.append(('neck', ))
        elif neck:
            stages += [('neck', index) for index in range(len(neck))]
        place = location[len(owner):]
        if place in stages:
            return self._output(owner, stages[:stages.index(place)])
        if any(place[:len(stage)] == stage for stage in stages):  # a part of one
            return None
        return self._output(owner, stages)

    def _owner(self, location: tuple) -> Optional[tuple]:
        """The nearest config above ``location`` that has a backbone."""
        return next((location[:depth] for depth in range(len(location) - 1, -1, -1)
                     if isinstance(node := at(self.cfg, location[:depth]), dict)
                     and isinstance(node.get('backbone'), dict)), None)

    def _side(self, owner: tuple) -> int:
        side = at(self.cfg, owner)['backbone'].get('img_size') or SIDE  # if it takes one size only
        return side if isinstance(side, int) else side[0]

    def _output(self, owner: tuple, stages: list[tuple]) -> Any:
        """What these stages make of an image; None: unknown."""
        key = (owner, *stages)
        if key not in self._outputs:
            try:
                self._outputs[key] = self._run(owner, stages)
            except Exception:  # metas, two images, a package or a file that is missing...
                self._outputs[key] = None
        return self._outputs[key]

    def _run(self, owner: tuple, stages: list[tuple]) -> Any:
        if not stages:
            side = self._side(owner)
            channels = at(self.cfg, owner)['backbone'].get('in_channels', 3)
            return torch.zeros(1, channels, side, side, device='meta')
        inputs = self._output(owner, stages[:-1])
        return None if inputs is None else run(self.build((*owner, *stages[-1])), inputs)


def run(module: nn.Module, inputs: Any) -> Any:
    """What a module returns for inputs of these shapes, in eval mode; the values mean nothing.

    On the meta device, where sizes cost nothing, or else, with operators that it lacks, on the CPU.
    """
    module.eval()  # not in one line: a ResNet's eval() returns nothing
    with torch.no_grad(), without_a_trace():
        try:
            empty = {id(tensor): tensor.to('meta')
                     for tensor in (*module.parameters(), *module.buffers())}
            return copy.deepcopy(module, empty)(like(inputs, 'meta'))
        except Misfit:
            raise
        except Exception:
            return module(like(inputs, 'cpu'))


def like(inputs: Any, device: str) -> Any:
    """Zeros on a device in the place of every tensor."""
    if torch.is_tensor(inputs):
        return torch.zeros_like(inputs, device=device)
    if isinstance(inputs, dict):
        return {key: like(value, device) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return tuple(like(value, device) for value in inputs)
    return inputs


@contextmanager
def without_a_trace() -> Iterator[None]:
    """Neither random numbers nor warnings of what runs in this context reach the caller."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
