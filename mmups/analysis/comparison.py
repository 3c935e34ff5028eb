"""What runs of several upsamplers over seeds say: means, spreads, and paired differences.

The intervals are those of Student's paired t test, from SciPy: of the mean difference between two
upsamplers that were trained with the same seeds.
"""
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np
from scipy import stats

from .robustness import headline_metrics

#: Of every interval.
CONFIDENCE = 0.95
#: Differences that are this close to one another, as a share of the values, are equal but for
#: rounding: their spread says nothing.
ROUNDING = 1e-9


class Measure(NamedTuple):
    """What a number was measured of.

    Attributes:
        metric: As the evaluator names it.
        attack: Name of the attack; '': clean images.
        norm: Of the attack's budget, 'linf' or 'l2'.
        eps: Its budget, in units of 0..255.
        label: The class; '': all of them.
    """
    metric: str
    attack: str = ''
    norm: str = ''
    eps: float = 0.
    label: str = ''

    def __str__(self) -> str:
        attack = f' under {self.attack}, {self.norm} {self.eps:g}/255' if self.attack else ''
        return self.metric + (f' of {self.label}' if self.label else '') + attack


@dataclass(frozen=True)
class Summary:
    """Of one measure and upsampler: mean, sample standard deviation (None: one seed), seeds."""
    mean: float
    sd: Optional[float]
    seeds: int


@dataclass(frozen=True)
class Difference:
    """One upsampler less another, over the seeds that both have.

    Attributes:
        by_seed: Seed -> difference.
        interval: Low and high end, with :data:`CONFIDENCE`. None where it would say nothing: fewer
            than two seeds, or the same difference in all of them.
        p: Of the two-sided paired t test; None without an interval.
    """
    by_seed: Mapping[int, float] = field(default_factory=dict)
    interval: Optional[tuple[float, float]] = None
    p: Optional[float] = None

    @property
    def mean(self) -> Optional[float]:
        """None: no common seed."""
        return float(np.mean(list(self.by_seed.values()))) if self.by_seed else None

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, without zero in it."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def summarise(values: Sequence[float]) -> Optional[Summary]:
    """Mean and spread; None: no value."""
    if not values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(float(np.mean(values)), sd, len(values))


def paired_difference(values: Mapping[int, float], others: Mapping[int, float]) -> Difference:
    """``values`` less ``others``, both by seed, with ``scipy.stats.ttest_rel``."""
    seeds = sorted(values.keys() & others.keys())
    by_seed = {seed: values[seed] - others[seed] for seed in seeds}
    pairs = np.array([[values[seed], others[seed]] for seed in seeds]).reshape(-1, 2)
    if len(seeds) < 2 or np.ptp(pairs[:, 0] - pairs[:, 1]) <= ROUNDING * np.abs(pairs).max():
        return Difference(by_seed)
    test = stats.ttest_rel(*pairs.T)
    low, high = test.confidence_interval(CONFIDENCE)
    return Difference(by_seed, (float(low), float(high)), float(test.pvalue))


@dataclass
class Comparison:
    """A folder of ``tools/compare.py``.

    Attributes:
        about: ``comparison.json``: config, baseline, upsamplers, seeds, sites, robustness.
        runs: One for each upsampler and seed that is finished, as in ``runs.jsonl``.
        cost: ``cost.json``; None: not measured.
    """
    about: dict
    runs: list[dict]
    cost: Optional[dict] = None

    @classmethod
    def read(cls, folder: Union[str, Path]) -> 'Comparison':
        """What a folder holds. A last line that is torn is left out: its run was being written.

        Raises:
            ValueError: It is no such folder, a line cannot be read, or no run is finished.
        """
        folder = Path(folder)
        about = _read_json(folder / 'comparison.json')
        if about is None:
            raise ValueError(f'{folder} has no comparison.json: it is no folder of '
                             'tools/compare.py')
        path, runs = folder / 'runs.jsonl', {}
        lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            try:
                run = json.loads(line)
                runs[run['upsampler'], run['seed']] = run
            except (KeyError, TypeError, ValueError) as error:
                if number < len(lines):
                    raise ValueError(f'line {number} of {path} is no run: {error!r}') from None
        if not runs:
            raise ValueError(f'{path} holds no finished run: there is nothing to report yet')
        return cls(about, list(runs.values()), _read_json(folder / 'cost.json'))

    @property
    def baseline(self) -> str:
        """The upsampler with which the others are compared."""
        return self.about['baseline']

    @cached_property
    def upsamplers(self) -> list[str]:
        """Names, in the order of the command line; those that only runs have come last."""
        return list(dict.fromkeys([*self.about['upsamplers'],
                                   *(run['upsampler'] for run in self.runs)]))

    @cached_property
    def seeds(self) -> list[int]:
        """Those that were asked for and those that runs have."""
        return sorted({*self.about['seeds'], *(run['seed'] for run in self.runs)})

    @cached_property
    def missing(self) -> list[tuple[str, int]]:
        """Upsampler and seed of the runs that are not finished."""
        there = {(run['upsampler'], run['seed']) for run in self.runs}
        return [(name, seed) for name in self.upsamplers for seed in self.about['seeds']
                if (name, seed) not in there]

    @cached_property
    def values(self) -> dict[Measure, dict[str, dict[int, float]]]:
        """Measure -> upsampler -> seed -> value. Values that are no number (of a class that does
        not occur, say) are left out; attacks have their most steps."""
        values: dict = {}
        for run in self.runs:
            for measure, value in _measures(run):
                if value is not None and np.isfinite(value):
                    by_name = values.setdefault(measure, {})
                    by_name.setdefault(run['upsampler'], {})[run['seed']] = float(value)
        return values

    @cached_property
    def headlines(self) -> list[Measure]:
        """The clean metrics worth a column."""
        clean = {m.metric: m for m in self.values if not m.attack and not m.label}
        return [clean[name] for name in headline_metrics(clean)]

    def of(self, measure: Measure, upsampler: str) -> dict[int, float]:
        """Seed -> value."""
        return self.values.get(measure, {}).get(upsampler, {})

    def summary(self, measure: Measure, upsampler: str) -> Optional[Summary]:
        """Mean and spread over seeds; None: not measured."""
        return summarise(list(self.of(measure, upsampler).values()))

    def difference(self, measure: Measure, upsampler: str,
                   other: Optional[str] = None) -> Difference:
        """``upsampler`` less ``other`` (the baseline)."""
        return paired_difference(self.of(measure, upsampler),
                                 self.of(measure, other or self.baseline))

    def differences(self, measures: Sequence[Measure]) -> list[Difference]:
        """To the baseline, of all other upsamplers in all these measures."""
        return [self.difference(measure, name) for measure in measures
                for name in self.upsamplers if name != self.baseline]

    def attacked(self, measure: Measure) -> dict[tuple[str, str], list[Measure]]:
        """Attack and norm -> the measures of a clean one under it, from budget 0 on, which is the
        metric of those images that were attacked."""
        found: dict = {}
        for other in sorted(self.values, key=lambda other: other.eps):
            if other.attack and (other.metric, other.label) == (measure.metric, measure.label):
                found.setdefault((other.attack, other.norm), []).append(other)
        return found


def _measures(run: Mapping) -> list[tuple[Measure, Any]]:
    found = [(Measure(name), value) for name, value in run['metrics'].items()]
    found += [(Measure(metric, label=label), value) for metric, by in run['classes'].items()
              for label, value in by.items()]
    rows = [row for row in run['robustness'] if row['kind'] == 'attack']
    clean = next((row['metrics'] for row in run['robustness'] if row['kind'] == 'clean'), {})
    # Without an attack on the same images, which may be a part of the test set.
    found += [(Measure(name, attack, norm), value) for name, value in clean.items()
              for attack, norm in dict.fromkeys((row['name'], row['norm']) for row in rows)]
    for row in sorted(rows, key=lambda row: row['steps'] or 0):  # of equals, the last one counts
        found += [(Measure(name, row['name'], row['norm'], float(row['eps'])), value)
                  for name, value in row['metrics'].items()]
    return found


def _read_json(path: Path) -> Optional[dict]:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} cannot be read: {error}') from None
