"""What a model upsamples, found by building its parts, and by running them on a small image.

Nothing here knows a model. What cannot be run in this way stays unknown, and is never a reason
against a site.
"""
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as ROOT
from torch import nn

from mmups.models.host_configs import ONLY_SIZE, WEIGHTS
from mmups.models.layers import NoSite, UpsamplingSlot, whole_factor
from mmups.models.layers import Step as SlotStep

from .probe import Notes, Probe, run, without_a_trace

#: How the reason of a site begins that has no upsampling step with its arguments.
NOTHING = 'nothing to swap'
#: Side of the image, where the backbone does not say another one.
SIDE = 128


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
        declared: The steps as the slot states them, for :meth:`refusal`.
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
    declared: tuple[SlotStep, ...] = field(default=(), repr=False)

    @property
    def config_key(self) -> str:
        """Where the upsampler stands in the config."""
        return '.'.join(map(str, ('model', *self.location, *([self.key] if self.key else []))))

    def changes(self, upsampler: dict) -> dict:
        """What to set in the module's config."""
        return {'type': self.slot, **self.options, self.key: copy.deepcopy(upsampler)}

    def refusal(self, upsampler: dict) -> Optional[str]:
        """Why the steps of this site cannot take an upsampler; None: they can."""
        if self.reason is None:
            try:
                with without_a_trace():
                    for step in dict.fromkeys(self.declared):
                        step.build(upsampler)
            except (TypeError, ValueError) as error:
                return str(error)
        return self.reason


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

    def examine(self, sites: list[Site], slot: type[UpsamplingSlot]) -> list[Site]:
        """The sites of one module, with their steps, or the reasons why there are none.

        Args:
            sites: One per key of the slot, without steps.
            slot: The class of mmups.
        """
        location, reasons, options = sites[0].location, {}, {}
        try:
            options = slot.site_args(at(self.cfg, location), lambda: self.sizes(location))
        except Exception as error:  # the optional sites work without
            reasons['upsampler'] = f'cannot be built: {type(error).__name__}: {error}'
        sites = [replace(site, options={**site.options, **options}) for site in sites]
        notes, steps = Notes(), ()
        while keys := [site.key for site in sites if site.key not in reasons]:
            changes = {key: dict(type=Probe, key=key, notes=notes) for key in keys}
            try:
                module = self.build(location, {
                    'type': sites[0].slot, **sites[0].options, **changes})
            except NoSite as error:
                steps = error.steps
                absent = [key for key in keys if all(step.key != key for step in steps)]
                reasons |= {key: f'{NOTHING}: {NoSite(error.where, key, steps)}'
                            for key in absent or keys}
                if all(step.guide_channels is None for step in steps):
                    break
            except Exception as error:
                reasons |= {key: f'cannot be built: {type(error).__name__}: {error}'
                            for key in keys}
            else:
                part = next(m for m in module.modules() if isinstance(m, slot))
                steps = part.steps()
                self._try_maps(part, location)
                break
        return [self._found(site, reasons.get(site.key), notes.misfits.get(site.key),
                            tuple(replace(step, host=None) for step in steps
                                  if step.key == site.key))
                for site in sites]

    def _found(self, site: Site, reason: Optional[str], misfit: Optional[str],
               steps: tuple[SlotStep, ...]) -> Site:
        """A site with what became known of it."""
        if misfit:
            side = self._side(self._owner(site.location))
            misfit = (f'{misfit} in an image of {side} pixels a side; only methods that reach any '
                      'size in one step, such as Interpolate, fit')
        if reason is None:
            try:
                counts = Counter((step.channels, whole_factor(step.factor), step.guide_channels)
                                 for step in steps)
                site = replace(site, declared=steps, steps=tuple(
                    Step(*sizes, count) for sizes, count in counts.items()))
            except ValueError as error:
                reason = f'cannot be built: {type(error).__name__}: {error}'
        return replace(site, reason=reason, misfit=misfit)

    def _try_maps(self, part: nn.Module, location: tuple) -> None:
        """Have the probes in a slot see the maps that reach it."""
        if all(step.guide_channels is None for step in part.steps()):
            return  # a step without a guide has no other map to fit
        maps = self.maps(location)
        try:
            if maps is not None:
                run(part, maps)
        except Exception:  # called otherwise: with metas, earlier predictions, regions
            pass

    def is_stage_or_head(self, location: tuple) -> bool:
        """Whether the module stands directly in a model that has a backbone."""
        owner = self._owner(location)
        place = () if owner is None else location[len(owner):]
        return len(place) == 1 or len(place) == 2 and isinstance(place[1], int)

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
        side = at(self.cfg, owner)['backbone'].get(ONLY_SIZE) or SIDE
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
