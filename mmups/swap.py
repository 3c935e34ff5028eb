"""Any config in, the same config with its upsampling swapped out.

:func:`list_sites` says what a model upsamples and where, :func:`swap_upsampler` puts a method
there. Neither knows a model: hosts' classes are looked up in :data:`mmups.models.layers.SLOT_OF`.
"""
import copy
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional, Union

from mmengine.config import Config
from mmengine.registry import MODELS as ROOT
from torch import nn

from mmups.models.host_configs import REFUSED, is_frozen
from mmups.models.layers import SLOT_OF, UpsamplingSlot
from mmups.models.upsamplers import resolve_upsampler
from mmups.registry import MODELS

from .generic import generic_site
from .preset_files import presets, upsampler_named
from .sites import NOTHING, Model, Site, Step, at, put

__all__ = ['REFUSED', 'Site', 'Step', 'choose', 'list_sites', 'presets', 'swap_upsampler']

def list_sites(cfg: Config, upsampler: Union[dict, str, None] = None,
               generic: bool = False) -> list[Site]:
    """The upsampling sites of a config's model, in the order of the config.

    Args:
        cfg: Config of a model of mmdet, mmseg or mmups, or of classes of one's own in it.
        upsampler: Sites that cannot take this one, as in :func:`swap_upsampler`, get a reason.
        generic: True: backbones, necks and heads whose classes have no slot are sites too, if they
            interpolate; methods with a guide do not fit there.

    Raises:
        ValueError: ``cfg`` has no model, or nothing in it is known for want of a
            ``default_scope``; ``upsampler`` names no upsampler.
        TypeError: ``upsampler`` has a key that its type does not take.
        ImportError: The host of the config, its ``default_scope``, cannot be used.
    """
    sites = _found(cfg, generic)
    if upsampler is None:
        return [_unfit(site) for site in sites]
    return _fitted(sites, _config_of(upsampler, sites))


def swap_upsampler(cfg: Config, upsampler: Union[dict, str],
                   sites: Union[str, Iterable[str]] = 'default', generic: bool = False) -> Config:
    """A copy of a config with another upsampling.

    Args:
        cfg: As in :func:`list_sites`.
        upsampler: The method and its arguments, ``dict(type='DySample')``; or the name of one of
            :func:`presets` or of a type, ``'dysample-s-plus'``.
        sites: ``'default'``; ``'all'``, which includes the optional ones; or paths as
            :func:`list_sites` gives them. Sites of the first two that cannot take the upsampler
            stay as they are, with a warning that names each.
        generic: As in :func:`list_sites`.

    Raises:
        ValueError: Nothing is left to swap, or a site named in ``sites`` does not exist or cannot
            take the upsampler; or as in :func:`list_sites`.
        TypeError: As in :func:`list_sites`.
    """
    found = _found(cfg, generic)
    upsampler = _config_of(upsampler, found)
    listed = _fitted(found, upsampler)
    chosen = choose(listed, sites)
    if sites in ('default', 'all'):
        for site in _wanted(listed, sites):
            if site.reason is not None and not site.reason.startswith(NOTHING):
                warnings.warn(f'{site.config_key} stays as it is: {site.reason}', stacklevel=2)
    swapped = copy.deepcopy(cfg)
    for site in chosen:
        put(at(swapped.model, site.location), site.changes(upsampler))
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
        wanted = _wanted(listed, sites)
        chosen = [site for site in wanted if site.reason is None]
        if not chosen:
            raise ValueError('there is nothing to swap' + ''.join(
                f'; {site.config_key}: {site.reason}' for site in wanted))
        return chosen
    paths = [site.path for site in listed]
    names = [sites] if isinstance(sites, str) else sites
    names = list(names) if isinstance(names, Iterable) else []
    if not names:
        raise ValueError(f"sites must be 'default', 'all' or some of {paths}, got {sites!r}")
    if unknown := [name for name in names if name not in paths]:
        raise ValueError(f'this model has no site {unknown[0]!r}; its sites: '
                         f'{", ".join(paths) or "none"}')
    chosen = [listed[paths.index(name)] for name in dict.fromkeys(names)]
    for site in chosen:
        if site.reason is not None:
            raise ValueError(f'{site.config_key}: {site.reason}')
    return chosen


def _wanted(listed: list[Site], sites: str) -> list[Site]:
    return [site for site in listed if sites == 'all' or not site.optional]


def _found(cfg: Config, generic: bool) -> list[Site]:
    """The sites of a config's model, whatever the upsampler."""
    if not isinstance(cfg.get('model'), dict):
        raise ValueError('this config has no model')
    unusable = MODELS.load_hosts()
    if error := unusable.get(cfg.get('default_scope')):
        raise error
    model = Model(cfg)
    sites, others, unknown = [], [], []
    for location, node, scope in model.modules():
        site = Site('.'.join(map(str, location)), str(node['type']), location=location,
                    optional=is_frozen(location))
        package = MODELS.host_of(node['type'], scope)
        short = str(node['type']).rpartition('.')[-1]
        if error := unusable.get(package) or unusable.get(f'{package}.{short}'):
            sites.append(replace(site, reason=str(error)))
        elif isinstance(cls := _resolve(node['type'], scope), type):
            if slot := _slot_of(cls):
                sites += _sites_of(model, location, cls, slot)
            else:
                site = replace(site, host=_name(cls), reason=_no_slot(cls))
                sites.append(site)
                if issubclass(cls, nn.Module) and model.is_stage_or_head(location):
                    others.append((site, _known_as(node['type'], scope)))
        else:
            unknown.append(site.host)
    if unknown and not sites and cfg.get('default_scope') is None:
        raise ValueError(f'this config has no default_scope, and {unknown[0]!r} is in none of the '
                         "registries that are read without: set default_scope='mmdet' or 'mmseg'")
    for site, kind in others if generic else ():
        depth = len(site.location)
        if not any(other.slot and other.location[:depth] == site.location for other in sites):
            found = generic_site(model, site, kind)
            sites[sites.index(site)] = found or site
    return [site for site in sites if site.slot or site.reason]


def _config_of(upsampler: Union[dict, str], sites: list[Site]) -> dict:
    """The config that an argument stands for; what is wrong with it is a mistake, not a matter of
    a site."""
    try:
        if not upsampler:
            raise ValueError("an upsampler is configured by a dict such as dict(type='DySample'), "
                             f'got {upsampler!r}')
        cfg = upsampler_named(upsampler) if isinstance(upsampler, str) else upsampler
        resolve_upsampler(cfg)
    except (TypeError, ValueError) as error:
        where = next((site for site in sites if site.slot and not site.optional), None)
        raise type(error)(f'{where.config_key if where else "upsampler"}: {error}') from None
    return cfg


def _fitted(sites: list[Site], upsampler: dict) -> list[Site]:
    """The sites, with a reason at each that cannot take the upsampler."""
    cls, _ = resolve_upsampler(upsampler)
    sites = sites if cls.any_size else [_unfit(site) for site in sites]
    return [replace(site, reason=site.refusal(upsampler)) for site in sites]


def _unfit(site: Site) -> Site:
    """The site for a method that does not reach any size in one step."""
    return replace(site, reason=site.reason or site.misfit)


def _slot_of(cls: type) -> Optional[type[UpsamplingSlot]]:
    """The slot that takes a class's place, which is the class itself where it is one, or derives
    from one; None: there is none."""
    return cls if issubclass(cls, UpsamplingSlot) else SLOT_OF.get(cls)


def _resolve(name: Any, scope: Optional[str]) -> Any:
    """The class of a config's type; None: no model of an installed package."""
    if not isinstance(name, str):
        return name
    with ROOT.switch_scope_and_registry(scope) as registry:
        return registry.get(name)


def _name(cls: type) -> str:
    return f'{cls.__module__.split(".")[0]}.{cls.__name__}'


def _known_as(kind: Union[str, type], scope: Optional[str]) -> Union[str, type]:
    """A type as it is found from any scope."""
    return f'{scope}.{kind}' if isinstance(kind, str) and scope and '.' not in kind else kind


def _no_slot(cls: type) -> Optional[str]:
    """Why a class without a slot is worth a row; None: it is not."""
    bases = [base.__name__ for base in cls.__mro__[1:] if base in SLOT_OF]
    subclass = f'a subclass of {bases[0]} that has no slot of its own' if bases else None
    return REFUSED.get(_name(cls), subclass)


def _sites_of(model: Model, location: tuple, cls: type, slot: type[UpsamplingSlot]) -> list[Site]:
    """One site per key of the module's slot."""
    path = '.'.join(map(str, location))
    name, options = f'mmups.{slot.__name__}', {}
    if MODELS.get(slot.__name__) is not slot:  # a user's class, derived from a slot: it stays
        name, options = _name(cls), {'type': at(model.cfg, location)['type']}
    return model.examine([
        Site(path if key == 'upsampler' else f'{path}.{key}', _name(cls), name, key,
             location=location, options=options,
             optional=key in slot.optional or is_frozen(location))
        for key in slot.site_keys()], slot)
