"""Trial of a whole model: does it build, predict and learn with its upsampling swapped?

Small and quick: no pretrained weights, small images, few proposals, shallow backbones. None of
this changes a map's channels or stride, so that every site stays as it is.
"""
import copy
import hashlib
import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any, Optional
from unittest.mock import patch

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS as ROOT
from torch import nn

from mmups import swap
from mmups.datasets.random_batch import random_batch
from mmups.models.upsamplers import BaseUpsampler
from mmups.swap import list_sites, swap_upsampler

SIDE = 128  # of the images: maps of 4x4 at stride 32
#: Upper limits of what costs time and changes no map, wherever the key stands.
AT_MOST = dict(nms_pre=50, max_per_img=10, max_num=10, num_proposals=10)
#: Values of keys that would cost time, or a download.
INSTEAD = dict(with_cp=False, teacher_ckpt=None, pretrained=None, img_size=(SIDE, SIDE))
#: Keys that say how many blocks the stages of a backbone have, by type.
BLOCKS = {'SwinTransformer': 'depths', 'DepthFormerSwin': 'depths',
          'MixVisionTransformer': 'num_layers', 'MSCAN': 'depths', 'PCPVT': 'depths',
          'SVT': 'depths', 'PyramidVisionTransformer': 'num_layers',
          'PyramidVisionTransformerV2': 'num_layers'}
#: Name of the run that takes every class for one without a slot, and its upsampler.
GENERIC, UNGUIDED = 'generic', dict(type='DySample')


def reduced(cfg: Config) -> Config:
    """A config with nothing but the model, made cheap."""
    small = Config(dict(default_scope=cfg.get('default_scope'), model=copy.deepcopy(cfg.model)))
    _reduce(small.model)
    preprocessor = small.model.get('data_preprocessor') or {}
    preprocessor.pop('batch_augments', None)
    if 'mean' in preprocessor:
        preprocessor.update(mean=[127.5] * 3, std=[64.0] * 3)
    if small.default_scope == 'mmseg':
        for key in ('size', 'size_divisor', 'test_cfg'):
            preprocessor.pop(key, None)
        preprocessor['size_divisor'] = 32
        small.model.test_cfg = {**small.model.get('test_cfg', {}), 'mode': 'whole'}
        for key in ('crop_size', 'stride'):
            small.model.test_cfg.pop(key, None)
    return small


def _reduce(node: Any) -> None:
    if isinstance(node, dict):
        for key in AT_MOST.keys() & node.keys():
            node[key] = min(node[key], AT_MOST[key])
        for key in INSTEAD.keys() & node.keys():
            node[key] = INSTEAD[key]
        if 'num_grids' in node:
            node['num_grids'] = [8] * len(node['num_grids'])
        if 'Pretrained' in str(node.get('init_cfg')):
            node['init_cfg'] = None
        if isinstance(node.get('sampler'), dict) and node['sampler'].get('num', 0) > 16:
            node['sampler']['num'] = 16
        kind = str(node.get('type')).split('.')[-1]
        if 'Res' in kind and node.get('depth', 0) > 50:
            node['depth'] = 50
        if kind in BLOCKS and BLOCKS[kind] in node:
            node[BLOCKS[kind]] = [1] * len(node[BLOCKS[kind]])
        for value in node.values():
            _reduce(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _reduce(value)


def key_of(cfg: Config) -> str:
    """The same for the same reduced model."""
    text = json.dumps([cfg.default_scope, cfg.model.to_dict()], sort_keys=True, default=str)
    return hashlib.sha1(text.encode()).hexdigest()[:12]


def classes_of(cfg: Config) -> str:
    """The same for models whose backbones, necks and heads are of the same classes."""
    return ' '.join(sorted({str(part['type']) for node in _dicts(cfg.model) if 'backbone' in node
                            for value in node.values()
                            for part in (value if isinstance(value, list) else [value])
                            if isinstance(part, dict) and 'type' in part}))


def try_config(cfg: Config, upsamplers: dict[str, dict], generic: bool = False) -> dict:
    """Swap, build and run a model once per upsampler.

    Args:
        cfg: A config that :func:`reduced` returned.
        upsamplers: Name -> configuration.
        generic: True: one more run, 'generic', with DySample in what ``generic=True`` finds when no
            class has a slot.

    Returns:
        JSON-ready: ``sites``, as :func:`mmups.list_sites` gives them, and ``runs``, name -> what
        became of it: ``swapped`` and ``refused``, the paths of the sites; ``failures``, phase
        ('build', 'predict', 'loss') -> error; and ``status``: 'ok', 'nothing to swap', 'missing
        package', 'stock fails too' in the same phases, or 'failed'. The run 'Interpolate' is of
        the build alone; 'generic' has ``sites`` of its own.
    """
    runs = _Runs(cfg)
    with patch.object(swap, '_found', cache(swap._found)):  # which takes most of the time
        result = dict(sites=[_row(site) for site in list_sites(cfg)], runs=dict(
            Interpolate=runs.run(dict(mode='nearest'), run_it=False),
            **{name: runs.run(upsampler) for name, upsampler in upsamplers.items()}))
        if generic:
            with patch.object(swap, 'SLOT_OF', {}):
                result['runs'][GENERIC] = dict(
                    runs.run(UNGUIDED, generic=True),
                    sites=[_row(site) for site in list_sites(cfg, UNGUIDED, generic=True)])
    return result


class _Runs:
    """Runs of one model, which share what weights they can, and what is known of the stock model.
    """

    def __init__(self, cfg: Config):
        self.cfg = cfg
        self.weights: Optional[dict] = None
        self.stock: dict[bool, dict] = {}

    def run(self, upsampler: dict, run_it: bool = True, generic: bool = False) -> dict:
        """What became of one."""
        sites = [site for site in list_sites(self.cfg, upsampler, generic) if not site.optional]
        refused = {site.path: site.reason for site in sites
                   if site.reason and (site.slot or generic)}
        swapped = [site.path for site in sites if not site.reason]
        if not swapped:
            return dict(status='nothing to swap', swapped=swapped, refused=refused, failures={})
        failures, self.weights = _attempt(
            swap_upsampler(self.cfg, upsampler, swapped, generic), self.weights, run_it)
        if failures and run_it not in self.stock:
            self.stock[run_it], _ = _attempt(self.cfg, None, run_it)
        return dict(status=_status(failures, self.stock.get(run_it)), swapped=swapped,
                    refused=refused, failures=failures)


def _status(failures: dict, stock: Optional[dict]) -> str:
    if not failures:
        return 'ok'
    if any(re.search('is not in the|install', error) for error in failures.values()):
        return 'missing package'
    return 'stock fails too' if failures.keys() <= stock.keys() else 'failed'


def _row(site) -> dict:
    row = asdict(site)
    row['steps'] = [str(step) for step in site.steps]
    del row['location'], row['options'], row['declared']
    return row


def _attempt(cfg: Config, weights: Optional[dict], run_it: bool) -> tuple[dict, Optional[dict]]:
    """Phase -> error of what failed, and the model's weights, to be passed to the next attempt."""
    failures = {}
    with _noting(failures, 'build'):
        model = _build(cfg, weights, random=run_it)
    if failures or not run_it:
        return failures, weights
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    batch = make_batch(cfg)
    with _noting(failures, 'predict'):
        _predict(model, copy.deepcopy(batch))
    with _noting(failures, 'loss'):
        _learn(model, batch)
    return failures, weights


@contextmanager
def _noting(failures: dict, phase: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except Exception as error:  # any of a host's
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f'{"/".join(where.filename.split("/")[-3:])}:{where.lineno}'
        failures[phase] = f'{type(error).__name__}: {str(error)[:300]} ({place})'


def _build(cfg: Config, weights: Optional[dict], random: bool) -> nn.Module:
    """The model; with ``weights`` of another one, only what these lack is drawn."""
    torch.manual_seed(0)
    with _no_initial_values() if weights or not random else patch.dict({}):
        model = revert_sync_batchnorm(ROOT.build(ConfigDict(cfg.model, _scope_=cfg.default_scope)))
    if weights:
        for key, value in model.state_dict().items():
            if key in weights and weights[key].shape == value.shape:  # of upsamplers it may differ
                value.copy_(weights[key])
            elif value.is_floating_point():
                nn.init.normal_(value, std=0.01)
    elif random:  # what PyTorch draws explodes in a ResNet whose batch norms do not normalise
        record = 'mmengine.model.{}.update_init_info'  # takes longer than the initialisation
        with patch(record.format('base_module'), lambda *args, **kwargs: None), \
                patch(record.format('weight_init'), lambda *args, **kwargs: None):
            model.init_weights()
    for module in upsamplers_of(model):
        module.init_weights()
    return model


@contextmanager
def _no_initial_values() -> Iterator[None]:
    """Constructors set parameters to zero, which saves most of their time."""
    names = [name for name in dir(nn.init) if name.endswith('_') and not name.startswith('_')]
    with patch.multiple(nn.init, **{name: lambda tensor, *args, **kwargs: tensor.data.zero_()
                                    for name in names}):
        yield


def upsamplers_of(model: nn.Module) -> list[BaseUpsampler]:
    return [module for module in model.modules() if isinstance(module, BaseUpsampler)]


def _predict(model: nn.Module, batch: dict) -> None:
    model.eval()
    with torch.no_grad():
        model.test_step(batch)


def _learn(model: nn.Module, batch: dict) -> None:
    """One loss; its gradient has to reach every parameter of every upsampler, and is computed
    only as far as there."""
    for name in ('epoch', 'iter', 'max_epochs', 'max_iters'):  # the runner's; some losses ask
        MessageHub.get_current_instance().update_info(name, 0)
    model.train()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    loss, _ = model.parse_losses(losses)
    if not loss.isfinite():
        raise RuntimeError(f'the loss is {loss.item()}')
    parameters = {f'{index}.{key}': parameter
                  for index, module in enumerate(upsamplers_of(model))
                  for key, parameter in module.named_parameters()}
    if parameters:
        grads = torch.autograd.grad(loss, parameters.values(), allow_unused=True)
        if unused := [key for key, grad in zip(parameters, grads) if grad is None]:
            raise RuntimeError(f'no gradient reaches {unused} of the {len(parameters)} parameters '
                               'of the upsamplers')


def make_batch(cfg: Config) -> dict:
    """Two small random images with every kind of label."""
    # LRASPPHead pools windows of 49 pixels at stride 8.
    lraspp = cfg.default_scope == 'mmseg' and 'LRASPP' in str(cfg.model.decode_head)
    return random_batch(cfg, (448, 448) if lraspp else (SIDE, SIDE))


def _dicts(node: Any) -> Iterator[dict]:
    """A config and all that stand in it."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _dicts(value)
