"""Claims about upsamplers, and what a comparison says of them."""
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from .comparison import Comparison, Difference, Measure
from .robustness import larger_is_better

KEYS = {'id', 'claim', 'source', 'metric', 'better', 'worse'}
OPTIONAL = {'larger_is_better'}

SUPPORTED = 'supported'
CONTRADICTED = 'not supported: the interval lies on the other side'
UNDECIDED = 'not decidable at this size'
UNMEASURED = 'not measured here'


@dataclass(frozen=True)
class Judgement:
    """One pair of upsamplers in one claim.

    Attributes:
        id: Of the claim.
        claim: A sentence.
        source: Paper, arXiv id, table or section.
        measure: What the claim is about; None: the comparison has no such measure.
        better: The upsampler that the claim prefers.
        worse: The other one.
        difference: ``better`` less ``worse``.
        verdict: ``SUPPORTED``: the whole interval lies on the side of the claim;
            ``CONTRADICTED``: on the other side; ``UNDECIDED``: it includes zero, or there is none;
            ``UNMEASURED``: no common run.
    """
    id: str
    claim: str
    source: str
    measure: Optional[Measure]
    better: str
    worse: str
    difference: Difference
    verdict: str


def judge(comparison: Comparison, path: Union[str, Path]) -> list[Judgement]:
    """What a comparison says of the claims of a file.

    Args:
        comparison: The runs.
        path: A JSON list of objects with ``id``, ``claim``, ``source``, ``metric`` (a metric's
            name, or ``{"metric": "mIoU", "attack": "pgd", "eps": 1}``, with ``"norm"`` where an
            attack was measured in two), ``better`` and ``worse`` (an upsampler, or a list: each of
            the one with each of the other) and, for a metric whose direction is not known,
            ``larger_is_better``.

    Returns:
        One for each pair, in the order of the file.

    Raises:
        ValueError: The file is no such list.
    """
    try:
        claims = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ValueError(f'the hypotheses of {path} cannot be read: {error}') from None
    if not isinstance(claims, list):
        raise ValueError(f'{path} must hold a list of hypotheses, got {type(claims).__name__}')
    return [_judge(comparison, claim, better, worse) for claim in map(_checked, claims)
            for better in _names(claim['better']) for worse in _names(claim['worse'])]


def _checked(claim: object) -> Mapping:
    """The claim, if it has the keys of one."""
    if not isinstance(claim, dict) or not KEYS <= claim.keys() <= KEYS | OPTIONAL:
        raise ValueError(f'a hypothesis has the keys {sorted(KEYS)} and may have '
                         f'{sorted(OPTIONAL)}, got {claim!r}')
    metric = claim['metric']
    if not isinstance(metric, str) and not (
            isinstance(metric, dict) and {'metric', 'attack', 'eps'} <= metric.keys()
            <= {'metric', 'attack', 'eps', 'norm'}):
        raise ValueError('the metric of a hypothesis is a name or {"metric": name, "attack": name, '
                         f'"eps": number}}, with "norm" if need be; {claim["id"]!r} has {metric!r}')
    return claim


def _names(names: Union[str, list]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _judge(comparison: Comparison, claim: Mapping, better: str, worse: str) -> Judgement:
    measure = _measure(comparison, claim)
    difference = comparison.difference(measure, better, worse) if measure else Difference()
    more = claim.get('larger_is_better', measure is None or larger_is_better(measure.metric))
    verdict = UNDECIDED if difference.by_seed else UNMEASURED
    if difference.excludes_zero:
        verdict = SUPPORTED if (difference.mean > 0) == more else CONTRADICTED
    return Judgement(claim['id'], claim['claim'], claim['source'], measure, better, worse,
                     difference, verdict)


def _measure(comparison: Comparison, claim: Mapping) -> Optional[Measure]:
    metric = claim['metric']
    wanted = dict(metric=metric, attack='') if isinstance(metric, str) else metric
    found = [measure for measure in comparison.values if not measure.label
             and all(getattr(measure, key) == value for key, value in wanted.items())]
    if len(found) > 1:
        raise ValueError(f'{claim["id"]!r} must say the norm of its attack: '
                         f'{", ".join(map(str, found))} were measured')
    return found[0] if found else None
