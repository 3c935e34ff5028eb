"""Trial of a whole model: does it build, predict and learn with its upsampling swapped?

Small and quick: no pretrained weights, small images, few proposals, shallow backbones. None of
this changes a map's channels or stride, so that every site stays as it is.
"""
import copy
import hashlib
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Optional
from unittest.mock import patch

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS as ROOT
from torch import Tensor, nn

from mmups.models.upsamplers import BaseUpsampler
from mmups.swap import choose, list_sites, swap_upsampler

SIDE = 128  # of the images: maps of 4x4 at stride 32
#: Values that replace what costs time and changes no map, wherever the key stands.
CHEAP = dict(nms_pre=50, max_per_img=10, max_num=10, with_cp=False, teacher_ckpt=None)
#: Keys that say how many blocks the stages of a backbone have, by type.
BLOCKS = {'SwinTransformer': 'depths', 'MixVisionTransformer': 'num_layers', 'MSCAN': 'depths',
          'PCPVT': 'depths', 'SVT': 'depths', 'PyramidVisionTransformer': 'num_layers',
          'PyramidVisionTransformerV2': 'num_layers'}


def reduced(cfg: Config) -> Config:
    """A config with nothing but the model, made cheap."""
    small = Config(dict(default_scope=cfg.get('default_scope'), model=copy.deepcopy(cfg.model)))
    _reduce(small.model)
    preprocessor = small.model.get('data_preprocessor') or {}
    preprocessor.pop('batch_augments', None)
    if 'mean' in preprocessor:
        preprocessor.update(mean=[127.5] * 3, std=[64.0] * 3)
    if small.default_scope == 'mmseg':
        preprocessor['size'] = (SIDE, SIDE)
        preprocessor.pop('test_cfg', None)
        small.model.test_cfg = dict(mode='whole')
    return small


def _reduce(node: Any) -> None:
    if isinstance(node, dict):
        for key in CHEAP.keys() & node.keys():
            node[key] = CHEAP[key]
        if 'pretrained' in node:
            node['pretrained'] = None
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


def try_config(cfg: Config, upsamplers: dict[str, dict]) -> dict:
    """Swap, build and run a model once per upsampler.

    Args:
        cfg: A config that :func:`reduced` returned.
        upsamplers: Name -> configuration.

    Returns:
        JSON-ready: ``sites``, as :func:`mmups.list_sites` gives them, and ``runs``, name -> what
        became of it: ``swapped``, the paths that were, ``status`` ('ok', 'nothing to swap',
        'failed', 'stock fails too' or 'missing package') and for failures ``phase`` and ``error``.
        The run 'Interpolate' is of the build alone.
    """
    sites = list_sites(cfg)
    result = dict(sites=[_row(site) for site in sites], runs={})
    weights, stock = None, {}
    for name, upsampler in {'Interpolate': dict(mode='nearest'), **upsamplers}.items():
        run = result['runs'][name] = dict(status='nothing to swap', swapped=[], refused={})
        listed = list_sites(cfg, upsampler)
        run['refused'] = {site.path: site.reason for site in listed
                          if site.reason and not site.optional and site.slot}
        if not any(site.reason is None and not site.optional for site in listed):
            continue
        run['swapped'] = [site.path for site in choose(listed)]
        swapped = swap_upsampler(cfg, upsampler)
        run_it = name != 'Interpolate'
        failure, weights = _attempt(swapped, weights, run_it)
        run['status'] = 'ok'
        if failure is None:
            continue
        run.update(failure)
        if run_it not in stock:
            stock[run_it], _ = _attempt(cfg, None, run_it)
        if run['status'] == 'failed' and stock[run_it] is not None:
            run.update(status='stock fails too', stock=stock[run_it])
    return result


def _row(site) -> dict:
    row = asdict(site)
    row['steps'] = [str(step) for step in site.steps]
    del row['location'], row['options']
    return row


def _attempt(cfg: Config, weights: Optional[dict], run_it: bool) -> tuple[Optional[dict], dict]:
    """What failed (None: nothing), and the model's weights, to be passed to the next attempt."""
    phase = 'build'
    try:
        model = _build(cfg, weights, random=run_it)
        if run_it:
            weights = model.state_dict()
            batch = make_batch(cfg)
            phase = 'predict'
            _predict(model, copy.deepcopy(batch))
            phase = 'loss'
            _learn(model, batch)
    except Exception as error:  # any of a host's
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f'{"/".join(where.filename.split("/")[-3:])}:{where.lineno}'
        missing = isinstance(error, ImportError) or 'is not in the' in str(error)
        return dict(status='missing package' if missing else 'failed', phase=phase,
                    error=f'{type(error).__name__}: {str(error)[:300]} ({place})'), weights
    return None, weights


def _build(cfg: Config, weights: Optional[dict], random: bool) -> nn.Module:
    """The model; with ``weights`` of another one, only what these lack is drawn."""
    torch.manual_seed(0)
    with _no_initial_values() if weights or not random else patch.dict({}):
        model = revert_sync_batchnorm(ROOT.build(ConfigDict(cfg.model, _scope_=cfg.default_scope)))
    if weights:
        missing, _ = model.load_state_dict(weights, strict=False)
        for key, value in model.state_dict().items():
            if key in missing and value.is_floating_point():
                nn.init.normal_(value, std=0.01)
    elif random:  # of what is no backbone: those train from pretrained weights, or PyTorch's
        for name, child in model.named_children():
            if name != 'backbone' and hasattr(child, 'init_weights'):
                child.init_weights()
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
    model.requires_grad_(False)
    parameters = {f'{index}.{key}': parameter
                  for index, module in enumerate(upsamplers_of(model))
                  for key, parameter in module.named_parameters()}
    for parameter in parameters.values():
        parameter.requires_grad_()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    loss, _ = model.parse_losses(losses)
    if parameters:
        loss.backward()
        if unused := [key for key, value in parameters.items() if value.grad is None]:
            raise RuntimeError(f'no gradient reaches {unused} of {len(parameters)} parameters of '
                               'the upsamplers')


def make_batch(cfg: Config) -> dict:
    """Two small random images with every kind of label."""
    torch.manual_seed(0)
    classes = min(_values(cfg.model, 'num_classes'), default=2)
    if cfg.default_scope == 'mmseg':
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample
        shape = (SIDE, SIDE)

        def labels(count) -> Tensor:
            return torch.randint(0, count, (1, *shape))
        samples = [SegDataSample(
            metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape),
            gt_sem_seg=PixelData(data=labels(max(classes, 2))),
            gt_edge_map=PixelData(data=labels(2)),
            gt_depth_map=PixelData(data=torch.rand(1, *shape) + 1)) for _ in range(2)]
        return dict(inputs=list(torch.randint(0, 256, (2, 3, *shape), dtype=torch.uint8)),
                    data_samples=samples)
    from mmdet.testing import demo_mm_inputs, demo_track_inputs
    options = dict(image_shapes=(3, SIDE, SIDE), num_classes=classes, with_mask=True,
                   with_semantic=True)
    if 'Track' in str(cfg.model.get('data_preprocessor', {}).get('type')):
        return demo_track_inputs(1, num_frames=2, key_frames_inds=[0], num_items=None, **options)
    return demo_mm_inputs(2, num_items=[2, 2], **options)


def _values(node: Any, key: str) -> Iterator[int]:
    """Every positive integer under this key."""
    if isinstance(node, dict):
        if isinstance(node.get(key), int) and node[key] > 0:
            yield node[key]
        for value in node.values():
            yield from _values(value, key)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _values(value, key)
