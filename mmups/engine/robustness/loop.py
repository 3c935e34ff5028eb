"""The test loop that attacks and corrupts."""
from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import collect_results, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, TestLoop
from mmengine.runner.amp import autocast
from mmengine.utils import ProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmups.analysis.robustness import MOVES_PIXELS, corruption_scores, headline_metrics
from mmups.attacks import ATTACKS
from mmups.attacks.regression import check_error
from mmups.datasets.corrupt import CORRUPTIONS, Corrupt
from mmups.registry import LOOPS
from mmups.visualization.robustness import draw_robustness

from .data import corrupted, truth_is_original
from .plan import Entry, planned_attacks, planned_shifts
from .record import Record, checksum, conditions_of
from .source import load_source
from .states import frozen
from .victims import Victim, victim_of


@LOOPS.register_module()
class RobustnessTestLoop(TestLoop):
    """Clean, attacked and corrupted metrics of a model, by the config's own evaluator.

    ``test_cfg = dict(type='mmups.RobustnessTestLoop', ...)`` in a config of mmseg or mmdet. Results
    go to ``robustness.json``, ``.csv`` and ``.png`` in ``<work_dir>/robustness``. The json grows
    entry by entry, and a run that was interrupted, or gets more entries, goes on from it.

    Args:
        runner: As of mmengine's TestLoop.
        dataloader: Its pipeline loads the ground truth.
        evaluator: Copied for each number of steps of each entry.
        fp16: Of predictions; attacks compute in float32 anyway.
        attacks: Keys of :data:`mmups.attacks.ATTACKS`.
        eps: Budgets in units of 0..255.
        steps: Numbers of steps.
        norm: 'linf' or 'l2'.
        alpha: Length of a step in units of 0..255. None: eps / 4.
        long: Also attack with ten times the steps: where that finds much more, the gradients of
            the shorter attack were not those that count.
        transfer: ``dict(config=..., checkpoint=...)`` of another model of the same classes: attacks
            are also made on that one and shown to this.
        corruptions: Names of :data:`mmups.datasets.corrupt.CORRUPTIONS`, or ('all', ).
        severities: Of corruptions, 1 to 5.
        shifts: (dy, dx) each, in pixels of the network's input: the share of pixels whose label
            moves with the picture (segmentors). Parts of pixels are shifted by a phase.
        error: What is attacked where numbers are predicted, a key of
            :data:`mmups.attacks.regression.ERRORS`; None: 'l1' of colours, 'log' of depth.
        seed: Of random starts and of losses that draw random numbers.

    Raises:
        ValueError: As of :func:`planned_attacks`, of :class:`mmups.datasets.corrupt.Corrupt` and,
            when it runs, of :class:`mmups.engine.robustness.victims.Victim`.
        ImportError: There are corruptions and their package is missing.
    """

    def __init__(self, runner: Runner, dataloader: Union[DataLoader, dict],
                 evaluator: Union[Evaluator, dict, list], fp16: bool = False,
                 attacks: Sequence[str] = ('cospgd', 'segpgd', 'pgd'),
                 eps: Sequence[float] = (0.25, 0.5, 1, 2), steps: Sequence[int] = (10, ),
                 norm: str = 'linf', alpha: Optional[float] = None, long: bool = False,
                 transfer: Optional[dict] = None, corruptions: Sequence[str] = (),
                 severities: Sequence[int] = (1, 2, 3, 4, 5),
                 shifts: Sequence[Sequence[float]] = (), error: Optional[str] = None,
                 seed: int = 0):
        self.loader_cfg = copy.deepcopy(dataloader) if isinstance(dataloader, dict) else None
        self.entries = list(planned_attacks(attacks, eps, steps, norm, alpha, long,
                                            transfer is not None))
        for name in CORRUPTIONS if 'all' in corruptions else dict.fromkeys(corruptions):
            for severity in sorted(set(severities)):
                Corrupt(name, severity)  # raises now what it would raise later
                self.entries.append(Entry('corruption', name, severity=severity))
        self.entries += planned_shifts(shifts)
        if corruptions and self.loader_cfg is None:
            raise ValueError('corruptions need the test_dataloader as a config, not as an object')
        self.transfer, self.error, self.seed = transfer, error and check_error(error), seed
        super().__init__(runner, dataloader, evaluator, fp16)

    def run(self) -> dict:
        """Measure what is not measured yet.

        Returns:
            All metrics, by ``clean/METRIC`` and ``ENTRY/STEPS/METRIC``.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        source = load_source(**self.transfer, like=model) if self.transfer else None
        folder = Path(self.runner.work_dir) / 'robustness'
        record = Record(folder / 'robustness.json', conditions_of(
            self.runner.cfg, model, seed=self.seed, **({'error': self.error} if self.error else {}),
            transfer=source and dict(self.transfer, weights=checksum(source))))
        todo = [entry for entry in self.entries if entry not in record]
        with frozen(model):
            self._check(model, todo)
            if record.clean is None:
                record.clean = self._clean()
                self._save(record)
            self.bar = ProgressBar(max(len(todo) * len(self.dataloader), 1),
                                   start=bool(todo) and is_main_process())
            for entry in todo:
                record.add(entry, self._measure(entry, model, source))
                self._save(record)
        rows = record.rows()
        if is_main_process():
            record.write_csv(folder / 'robustness.csv')
            if any(row['kind'] not in ('clean', 'shift') for row in rows):
                draw_robustness(rows, folder / 'robustness.png')
        metrics = {f'clean/{name}': value for name, value in record.clean.items()}
        for row in rows[1:]:
            about = '/'.join(str(row[key]) for key in
                             ('kind', 'name', 'norm', 'eps', 'steps', 'severity') if row[key])
            metrics.update({f'{about}/{name}': value for name, value in row['metrics'].items()})
        self.rows = rows
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _check(self, model: nn.Module, entries: Sequence[Entry]) -> None:
        """Refuse, before anything is measured, attacks that are not for such a model."""
        attacks = [entry.attack() for entry in entries if entry.eps is not None]
        if attacks:
            victim = victim_of(model, pseudo_collate([self.dataloader.dataset[0]]))
            for attack in attacks:
                victim.check(attack)

    def _clean(self) -> dict:
        evaluator = copy.deepcopy(self.evaluator)
        for index, batch in enumerate(self.dataloader):
            self.run_iter(index, batch)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.evaluator = evaluator  # as it was built
        return plain(metrics)

    def _save(self, record: Record) -> None:
        if is_main_process():
            record.write()

    def _measure(self, entry: Entry, model: nn.Module, source: Optional[nn.Module]
                 ) -> dict[int, dict]:
        loader = self.dataloader
        if entry.kind == 'corruption':
            loader = self.runner.build_dataloader(
                corrupted(self.loader_cfg, entry.name, entry.severity), seed=self.runner.seed)
        evaluators = {steps: copy.deepcopy(self.evaluator) for steps in entry.steps}
        for evaluator in evaluators.values():
            evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
        late = truth_is_original(loader.dataset)
        agreements = []
        for index, batch in enumerate(loader):
            seed = self.seed + index
            if entry.kind == 'shift':
                agreements += agreements_of(victim_of(model, batch, seed=seed), entry)
            elif entry.kind == 'corruption':
                self._evaluate(evaluators[0], batch, lambda batch=batch: model.test_step(batch))
            else:
                victim = victim_of(model, batch, seed=seed, truth_is_original=late,
                                   error=self.error)
                made_on = victim if entry.kind != 'transfer' else victim_of(
                    source, batch, seed=seed, truth_is_original=late, error=self.error)
                for steps, image in adversarial(entry, made_on, seed):
                    if made_on is not victim:
                        image = made_on.transfer(image, victim)
                    self._evaluate(evaluators[steps], batch,
                                   lambda image=image, victim=victim: victim.predict(image))
            if is_main_process():
                self.bar.update()
        if entry.kind == 'shift':
            return {0: agreement(collect_results(agreements, len(loader.dataset)))}
        return {steps: plain(evaluator.evaluate(len(loader.dataset)))
                for steps, evaluator in evaluators.items()}

    @torch.no_grad()
    def _evaluate(self, evaluator: Evaluator, batch: dict, predict: Any) -> None:
        with autocast(enabled=self.fp16):
            outputs = predict()
        evaluator.process(data_samples=outputs, data_batch=batch)


def adversarial(entry: Entry, victim: Victim, seed: int) -> Iterator[tuple[int, Tensor]]:
    """The images of an entry after each of its numbers of steps.

    Args:
        entry: Not of a corruption.
        victim: What is attacked.
        seed: Of the random start.
    """
    if ATTACKS[entry.name].weighs_pixels and not victim.weighable:
        warnings.warn(f'{type(victim.model).__name__} has nothing per pixel by which to weigh it, '
                      f'and there {entry.name} is pgd', stacklevel=2)
    images = {}

    def keep(step: int, image: Tensor, _: Tensor) -> None:
        if step in entry.steps:
            images[step] = image

    last = max(entry.steps)
    images[last] = victim.attack(
        entry.attack(victim.ignore_index), generator=torch.Generator().manual_seed(seed),
        **(dict(callback=keep) if len(entry.steps) > 1 else {}))
    yield from sorted(images.items())


def agreements_of(victim: Victim, entry: Entry) -> list[float]:
    """Of each image: the share of labels that move with it, the mean over shifts.

    Raises:
        ValueError: The model gives no labels per pixel.
    """
    from mmups.evaluation.shift import shift_agreements
    if not hasattr(victim, 'input_logits'):
        raise ValueError(f'shifts compare labels pixel by pixel, and {type(victim.model).__name__} '
                         'gives none: leave them out')
    with torch.no_grad():
        found = shift_agreements(victim.input_logits, victim.image, entry.shifts, entry.name)
    return found.mean(0).tolist()


def agreement(values: Optional[list[float]]) -> dict[str, float]:
    """Mean and standard deviation over images; nothing where another process has them."""
    if values is None:
        return {}
    values = torch.tensor(values, dtype=torch.float64)
    return dict(consistency=values.mean().item(), consistency_std=values.std(correction=0).item())


def plain(metrics: dict) -> dict:
    """Metrics as numbers that json knows."""
    return {key: float(value) for key, value in metrics.items()
            if isinstance(value, (int, float)) or getattr(value, 'ndim', 1) == 0}


def summary(rows: Sequence[dict]) -> str:
    """A table of what a run measured, and the scores of its corruptions.

    Args:
        rows: ``RobustnessTestLoop.rows``.
    """
    names = headline_metrics(rows[0]['metrics'])
    lines = ['| | ' + ' | '.join(names) + ' |', '|---|' + '---:|' * len(names)]
    for row in rows:
        if row['kind'] == 'shift':
            continue
        about = [row['kind'] if row['kind'] != row['name'] else '', row['name']]
        about += [f'{row["norm"]} {row["eps"]:g}, {row["steps"]} steps'] if row['eps'] is not None \
            else [f'severity {row["severity"]}' if row['severity'] else '']
        flag = ' (moves pixels)' if row['name'] in MOVES_PIXELS else ''
        values = ' | '.join(f'{row["metrics"].get(name, float("nan")):.4g}' for name in names)
        lines.append(f'| {" ".join(filter(None, about))}{flag} | {values} |')
    lines += [f'shift {row["name"]}: consistency {row["metrics"]["consistency"]:.4f} '
              f'(over images +- {row["metrics"]["consistency_std"]:.4f})'
              for row in rows if row['kind'] == 'shift']
    for name in names:
        for score, value in corruption_scores(rows, name).items():
            lines.append(f'{name}: {score} {value:.4g}')
    return '\n'.join(lines)
