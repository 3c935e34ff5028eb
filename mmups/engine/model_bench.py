"""A config's whole model, to be measured with one upsampler after the other in it."""
import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch import nn

from mmups.analysis import MEMORY_FORMATS, Passes, checked_device
from mmups.datasets.random_batch import random_batch
from mmups.models.host_configs import WEIGHTS

from .pairing import build_model, share, shared_state, unlogged
from .variant import BILINEAR, Variant


@dataclass
class ModelBench:
    """Predictions and losses with gradients on random images, with random weights.

    The weights are the same in all models, as far as they are not of the upsamplers. What a model
    pads its batches to in training is left out.

    Attributes:
        name: Of the config, as the user gave it.
        cfg: The config.
        shape: Height and width of the images.
        batch: How many images.
        device: 'cpu' or 'cuda'.
        sites: As of :func:`mmups.swap.swap_upsampler`.

    Raises:
        ValueError: A number is not positive, the config has no model, or the device cannot be
            used.
    """
    name: str
    cfg: Config
    shape: tuple[int, int] = (512, 512)
    batch: int = 1
    device: str = 'cpu'
    sites: Union[str, Iterable[str]] = 'default'

    def __post_init__(self):
        if min(self.batch, *self.shape) < 1:
            raise ValueError('batch, height and width must be 1 or more, got '
                             f'{self.batch}, {self.shape[0]} and {self.shape[1]}')
        if not isinstance(self.cfg.get('model'), dict):
            raise ValueError(f'{self.name} has no model')
        checked_device(self.device)
        self.cfg = _without_checkpoints(self.cfg, self.shape)
        self._weights: Optional[dict] = None

    @property
    def conditions(self) -> dict:
        """What is measured, JSON-ready."""
        name = self.name if '::' in self.name else Path(self.name).name
        return dict(measured=f'the whole model of {name}', shape=[self.batch, 3, *self.shape],
                    dtype='float32')

    @property
    def stem(self) -> str:
        """For names of files."""
        batch = f'{self.batch}x' if self.batch > 1 else ''
        return f'{Path(self.name.split("::")[-1]).stem}_{batch}3x{self.shape[0]}x{self.shape[1]}'

    def baseline(self, memory_format: str) -> Passes:
        """The model with bilinear interpolation where upsamplers can be.

        Raises:
            ValueError: There is no such place.
        """
        return self.candidate(BILINEAR, memory_format)

    def candidate(self, upsampler: Union[dict, Variant], memory_format: str) -> Passes:
        """The model with this upsampler in its sites, or a variant of the model.

        Raises:
            ValueError: No site takes it.
        """
        model = self.model(upsampler).to(device=self.device,
                                         memory_format=MEMORY_FORMATS[memory_format])
        batch = random_batch(self.cfg, self.shape, self.batch)
        parameters = [p for p in model.parameters() if p.requires_grad]

        @torch.no_grad()
        def forward() -> list:
            model.eval()
            return model.test_step(copy.deepcopy(batch))

        def training() -> tuple:
            model.train()
            torch.manual_seed(0)  # of the proposals that are sampled
            for name in ('epoch', 'iter', 'max_epochs', 'max_iters'):  # some losses ask
                MessageHub.get_current_instance().update_info(name, 0)
            data = model.data_preprocessor(copy.deepcopy(batch), True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
            return torch.autograd.grad(loss, parameters, allow_unused=True)

        return Passes(forward, training)

    def model(self, upsampler: Union[dict, Variant]) -> nn.Module:
        """The config's model with this upsampler, or a variant of it.

        Raises:
            ValueError: No site takes it.
        """
        variant = upsampler if isinstance(upsampler, Variant) else Variant(upsampler)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of sites that stay
            cfg = variant.put_into(self.cfg, self.sites)
        torch.manual_seed(0)
        model = build_model(cfg)
        if self._weights is None:
            with unlogged():
                model.init_weights()
            self._weights = shared_state(model)
        share(model, self._weights)
        return model


def _without_checkpoints(cfg: Config, shape: tuple[int, int]) -> Config:
    cfg = copy.deepcopy(cfg)
    _forget_weights(cfg.model)
    preprocessor = cfg.model.get('data_preprocessor') or {}
    preprocessor.pop('batch_augments', None)
    if cfg.get('default_scope') == 'mmseg':
        for key in ('size_divisor', 'test_cfg'):
            preprocessor.pop(key, None)
        preprocessor['size'] = shape
    return cfg


def _forget_weights(node: Any) -> None:
    if isinstance(node, dict):
        if 'Pretrained' in str(node.get('init_cfg')):
            node['init_cfg'] = None
        node.update({key: None for key in WEIGHTS if key in node})
        for value in node.values():
            _forget_weights(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _forget_weights(value)
