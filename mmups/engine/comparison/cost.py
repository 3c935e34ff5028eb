"""What the upsamplers of a comparison cost in its model."""
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor, nn

from mmups.analysis import Effort, Results, file_stem, machine, macs_by_module, measure_all
from mmups.datasets.random_batch import random_batch
from mmups.models.upsamplers import BaseUpsampler
from mmups.ops import use_backend

from ..model_bench import ModelBench
from ..variant import BILINEAR, Variant
from .ledger import held
from .plan import Comparison, write

#: Of a row of :func:`mmups.analysis.measure`, what ``cost.json`` keeps.
KEPT = ('ratio', 'quartiles', 'seconds', 'bilinear_seconds', 'peak_bytes', 'bilinear_peak_bytes',
        'rounds')


def is_measured(folder: Path, upsamplers: Iterable[str]) -> bool:
    """Whether ``cost.json`` has them all."""
    path = folder / 'cost.json'
    rows = json.loads(path.read_text(encoding='utf-8'))['rows'] if path.is_file() else {}
    return set(upsamplers) <= set(rows)


def measure_cost(folder: Path) -> None:
    """Write ``cost.json``: parameters, multiply-adds, time and memory of the whole model.

    Time and memory are ratios to the same model with bilinear interpolation, which is measured in
    the same rounds, on one image of the size that the config's test pipeline gives. What was
    measured before on the same machine with the same code is kept, in ``cost/``.
    """
    comparison = Comparison.load(folder)
    with held(comparison.folder / 'cost' / 'lock'):
        if not is_measured(comparison.folder, comparison.upsamplers):
            write(comparison.folder / 'cost.json', json.dumps(measured(comparison), indent=1))


def measured(comparison: Comparison) -> dict:
    """Conditions, and a row for each upsampler."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    shape = test_shape(comparison.cfg)
    bench = ModelBench(comparison.config, comparison.cfg, shape, 1, device.type, comparison.sites)
    conditions = {**bench.conditions, **machine(device, torch.get_num_threads())}
    path = comparison.folder / 'cost' / f'{file_stem("speed", bench.stem, conditions)}.json'
    results = Results.resume(path, conditions)
    for _ in measure_all(bench, results, comparison.variants, ['auto'], ['contiguous'],
                         Effort()):
        pass
    base, rows = Size.of(bench, BILINEAR), {}
    for name, variant in comparison.variants.items():
        rows[name] = Size.of(bench, variant).beside(base)
        rows[name].update({row['pass']: {key: row[key] for key in KEPT} for row in results.rows
                           if row['preset'] == name and 'pass' in row})
    return dict(conditions=conditions, rows=rows)


@dataclass(frozen=True)
class Size:
    """How large a model is.

    Attributes:
        parameters: Of the model.
        own: Of its upsamplers.
        macs: Multiply-adds of one image in the model; None: it cannot be traced.
        own_macs: Those of its upsamplers; None: it has none, and upsamples in its own way.
    """
    parameters: int
    own: int
    macs: Optional[int]
    own_macs: Optional[int] = 0

    @classmethod
    def of(cls, bench: ModelBench, variant: Variant) -> 'Size':
        """Of a variant of the model."""
        model = bench.model(variant).to(bench.device)
        names = [name for name, module in model.named_modules()
                 if isinstance(module, BaseUpsampler)]
        own = {id(parameter): parameter.numel() for name in names
               for parameter in model.get_submodule(name).parameters()}
        sizes = sum(parameter.numel() for parameter in model.parameters()), sum(own.values())
        data = model.eval().data_preprocessor(random_batch(bench.cfg, bench.shape, 1), False)
        try:
            with use_backend('reference'):  # whose operators are PyTorch's, which are counted
                macs = macs_by_module(Raw(model, data['data_samples']), (data['inputs'], ))
        except Exception:  # tracing may fail for as many reasons as there are models
            return cls(*sizes, None)
        own_macs = sum(macs.get(f'model.{name}', 0) for name in names) if names else None
        return cls(*sizes, macs[''], own_macs)

    def beside(self, base: 'Size') -> dict:
        """What ``cost.json`` says of it.

        Args:
            base: The same with bilinear interpolation. Where nothing but the upsamplers differs,
                the work of all else is taken from there: in a detector it depends on how many
                proposals random weights make.
        """
        macs, rest = self.macs, self.parameters - self.own
        if macs and base.macs and self.own_macs is not None and rest == base.parameters - base.own:
            macs = base.macs - base.own_macs + self.own_macs
        return dict(parameters=self.parameters, upsampler_parameters=self.own, macs=macs)


class Raw(nn.Module):
    """A model's network without what makes predictions of its output.

    Args:
        model: Of a host.
        samples: Of the images.
    """

    def __init__(self, model: nn.Module, samples: list):
        super().__init__()
        self.model, self.samples = model, samples

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Every tensor that the network gives."""
        return tuple(_tensors(self.model(inputs, self.samples, mode='tensor')))


def _tensors(value: object) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def test_shape(cfg: Config) -> tuple[int, int]:
    """Height and width of the first image of the test set, as the test pipeline gives it."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        inputs = dataset[0]['inputs']
    return tuple((inputs[0] if isinstance(inputs, list) else inputs).shape[-2:])
