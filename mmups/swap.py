"""Any config in, the same config with its upsampling swapped out.

:func:`list_sites` says what a model upsamples and where, :func:`swap_upsampler` puts a method
there. Neither knows a model: hosts' classes are looked up in :data:`mmups.models.layers.SLOT_OF`.
"""
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as ROOT

from mmups.models.layers import SLOT_OF, NoSite, Slot
from mmups.models.upsamplers import Interpolate, resolve_upsampler
from mmups.registry import MODELS

#: Classes of the hosts that upsample and have no slot, and why.
REFUSED = {
    'mmdet.CoarseMaskHead': 'nothing to swap: it upsamples no features',
    'mmdet.GridHead': 'its transposed convolutions are grouped, one group per grid point, and '
                      'change the channels',
    'mmdet.PointRendRoIHead': 'it upsamples mask logits between refinements, no features',
    'mmdet.SABLHead': 'its transposed convolutions are one-dimensional',
    'mmseg.PointHead': 'it upsamples logits between refinements, no features',
}


class _Probe(Interpolate):
    """Interpolation that tells the upsamplers of one site from all others."""


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

    @property
    def config_key(self) -> str:
        """Where the upsampler stands in the config."""
        return '.'.join(map(str, ('model', *self.location, *([self.key] if self.key else []))))


def list_sites(cfg: Config, upsampler: Optional[dict] = None) -> list[Site]:
    """The upsampling sites of a config's model, in the order of the config.

    Args:
        cfg: Config of a model of mmdet, mmseg or mmups, or of classes of one's own in it.
        upsampler: Sites that cannot take this one get a reason.

    Raises:
        ValueError: ``cfg`` has no model; ``upsampler`` names no upsampler.
        TypeError: ``upsampler`` has a key that its type does not take.
        ImportError: The host of the config, its ``default_scope``, cannot be used.
    """
    if not isinstance(cfg.get('model'), dict):
        raise ValueError('this config has no model')
    unusable = MODELS.load_hosts()
    if error := unusable.get(cfg.get('default_scope')):
        raise error
    slot_of = {**SLOT_OF, **{slot.cls: slot for slot in SLOT_OF.values()}}
    model = _Model(cfg)
    sites = []
    for location, node, scope in model.modules():
        if error := unusable.get(MODELS.host_of(node['type'], scope)):
            sites.append(Site('.'.join(map(str, location)), str(node['type']), reason=str(error),
                              location=location))
            continue
        cls = _resolve(node['type'], scope)
        if cls in slot_of:
            sites += _sites_of(model, location, cls, slot_of[cls])
        elif reason := _no_slot(cls):
            sites.append(Site('.'.join(map(str, location)), _name(cls), reason=reason,
                              location=location))
    if upsampler is None:
        return sites
    try:
        resolve_upsampler(upsampler)
    except (TypeError, ValueError) as error:  # a mistake, not a matter of the site
        where = next((site for site in sites if site.slot and not site.optional), None)
        raise type(error)(f'{where.config_key if where else "upsampler"}: {error}') from None
    return [model.fit(site, upsampler) for site in sites]


def swap_upsampler(cfg: Config, upsampler: dict,
                   sites: Union[str, Iterable[str]] = 'default') -> Config:
    """A copy of a config with another upsampling.

    Args:
        cfg: As in :func:`list_sites`.
        upsampler: The method and its arguments, ``dict(type='DySample')``.
        sites: ``'default'``; ``'all'``, which includes the optional ones; or paths as
            :func:`list_sites` gives them. Sites of the first two that cannot take the upsampler
            stay as they are.

    Raises:
        ValueError: Nothing is left to swap, or a site named in ``sites`` does not exist or cannot
            take the upsampler; or as in :func:`list_sites`.
        TypeError: As in :func:`list_sites`.
    """
    chosen = choose(list_sites(cfg, upsampler), sites)
    swapped = copy.deepcopy(cfg)
    for site in chosen:
        _put(at(swapped.model, site.location), _changes(site, upsampler))
    return swapped


def choose(listed: list[Site], sites: Union[str, Iterable[str]] = 'default') -> list[Site]:
    """Those of ``listed`` that are to be swapped.

    Args:
        listed: What :func:`list_sites` returned.
        sites: As in :func:`swap_upsampler`.

    Raises:
        ValueError: As in :func:`swap_upsampler`.
    """
    if sites in ('default', 'all'):
        wanted = [site for site in listed if sites == 'all' or not site.optional]
        chosen = [site for site in wanted if site.reason is None]
        if not chosen:
            raise ValueError('there is nothing to swap' + ''.join(
                f'; {site.config_key}: {site.reason}' for site in wanted))
        return chosen
    by_path = {site.path: site for site in listed}
    names = [sites] if isinstance(sites, str) else list(sites)
    if unknown := [name for name in names if name not in by_path]:
        raise ValueError(f'no site {unknown[0]!r}; the model has: {", ".join(by_path) or "none"}')
    for name in names:
        if by_path[name].reason is not None:
            raise ValueError(f'{by_path[name].config_key}: {by_path[name].reason}')
    return [by_path[name] for name in names]


def at(node: Any, location: tuple) -> Any:
    """What lies below ``node`` at these keys and indices."""
    for step in location:
        node = node[step]
    return node


def _put(node: dict, changes: dict) -> None:
    for key, value in changes.items():  # mmengine's update() would merge old and new upsampler
        node[key] = value


def _changes(site: Site, upsampler: dict) -> dict:
    return {'type': site.slot, **site.options, site.key: copy.deepcopy(upsampler)}


def _resolve(name: Any, scope: Optional[str]) -> Any:
    """The class of a config's type; None: no model of an installed package."""
    if not isinstance(name, str):
        return name
    with ROOT.switch_scope_and_registry(scope) as registry:
        return registry.get(name)


def _name(cls: type) -> str:
    return f'{cls.__module__.split(".")[0]}.{cls.__name__}'


def _no_slot(cls: Any) -> Optional[str]:
    """Why a class without a slot is worth a row; None: it is not."""
    if not isinstance(cls, type):
        return None
    bases = [base.__name__ for base in cls.__mro__[1:] if base in SLOT_OF]
    subclass = f'a subclass of {bases[0]} that has no slot of its own' if bases else None
    return REFUSED.get(_name(cls), subclass)


def _sites_of(model: '_Model', location: tuple, cls: type, slot: Slot) -> Iterator[Site]:
    """One site per key of the module's slot."""
    path, host = '.'.join(map(str, location)), _name(cls)
    keys = (*slot.keys, *slot.optional)
    for key in keys:
        site = Site(path if key == keys[0] else f'{path}.{key}', host, f'mmups.{slot.cls.__name__}',
                    key, location=location,
                    optional=key in slot.optional or path.startswith('teacher_'))
        yield model.probe(site, slot)


class _Model:
    """A config's model, whose parts can be built one by one.

    Args:
        cfg: The config, which is not changed.
    """

    def __init__(self, cfg: Config):
        self.cfg = copy.deepcopy(cfg.model)
        self.scope = cfg.get('default_scope')
        self._sizes: dict[tuple, list] = {}
        self._depths: dict[tuple, list] = {}  # location -> what of it can be built

    def modules(self) -> Iterator[tuple[tuple, ConfigDict, Optional[str]]]:
        """Location, config and scope of everything that has a type, the model itself apart."""
        yield from ((location, node, scope) for location, node, scope in
                    self._walk(self.cfg, (), self.scope) if location)

    def _walk(self, node, location, scope):
        if isinstance(node, dict):
            scope = node.get('_scope_', scope)
            if 'type' in node:
                yield location, node, scope
            for key, value in node.items():
                yield from self._walk(value, (*location, key), scope)
        elif isinstance(node, (list, tuple)):
            for index, value in enumerate(node):
                yield from self._walk(value, (*location, index), scope)

    def build(self, location: tuple, changes: Optional[dict] = None) -> torch.nn.Module:
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
            _put(at(node, location[depth:]), changes or {})
            try:
                with torch.random.fork_rng(devices=[]):
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
        options = {}
        try:
            if hasattr(slot.cls, 'site_args'):
                options = slot.cls.site_args(at(self.cfg, site.location), self.sizes(site.location))
            module = self.build(site.location, {'type': site.slot, **options,
                                                site.key: dict(type=_Probe)})
        except NoSite as error:
            return self._replace(site, reason=f'nothing to swap: {error}')
        except Exception as error:
            return self._replace(site, reason=f'cannot be built: {type(error).__name__}: {error}')
        steps = Counter(Step(m.in_channels, m.scale_factor, m.guide_channels)
                        for m in module.modules() if isinstance(m, _Probe))
        if not steps:
            return self._replace(site, reason='nothing to swap: no step with these arguments')
        return self._replace(site, options=options, steps=tuple(
            Step(step.channels, step.factor, step.guide, count) for step, count in steps.items()))

    def fit(self, site: Site, upsampler: dict) -> Site:
        """The site, with a reason if it cannot take the upsampler."""
        if site.reason is not None:
            return site
        try:
            self.build(site.location, _changes(site, upsampler))
        except (TypeError, ValueError) as error:
            return self._replace(site, reason=str(error))
        return site

    @staticmethod
    def _replace(site: Site, **changes) -> Site:
        return Site(**{**vars(site), **changes})

    def sizes(self, location: tuple) -> list[tuple[int, int]]:
        """(h, w) of the maps that reach ``location`` from a small image: the backbone's, past the
        necks that come before it."""
        depth = next((d for d in range(len(location) - 1, -1, -1)
                      if 'backbone' in at(self.cfg, location[:d])), 0)
        owner, holder = location[:depth], at(self.cfg, location[:depth])
        stages = [(*owner, 'backbone')]
        neck = holder.get('neck')
        if isinstance(neck, dict):
            stages.append((*owner, 'neck'))
        elif neck:
            stages += [(*owner, 'neck', index) for index in range(len(neck))]
        before = tuple(stages[:stages.index(location)] if location in stages else stages)
        if before not in self._sizes:
            self._sizes[before] = self._run(before)
        return self._sizes[before]

    def _run(self, stages: tuple) -> list[tuple[int, int]]:
        backbone = at(self.cfg, stages[0]) if stages else {}
        side = backbone.get('img_size', 128)  # of backbones that take one size only
        side = side if isinstance(side, int) else side[0]
        maps = torch.zeros(1, backbone.get('in_channels', 3), side, side)
        with torch.no_grad():
            for stage in stages:
                module = self.build(stage)
                module.eval()  # not in one line: a ResNet's eval() returns nothing
                maps = module(maps)
        return [tuple(x.shape[2:]) for x in ([maps] if torch.is_tensor(maps) else maps)
                if torch.is_tensor(x) and x.dim() == 4]
