"""What a robustness run measures, entry by entry."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

from mmups.attacks import ATTACKS, Attack

#: A longer attack has so many times the steps.
LONGER = 10


@dataclass(frozen=True)
class Entry:
    """One pass over the data.

    Args:
        kind: 'attack', 'long' (the same attack with ten times the steps), 'transfer' (made on
            another model), 'corruption' or 'shift'.
        name: Of the attack or corruption, or the mode of the shifts.
        steps: Numbers of steps after which is measured; (0, ) where there are none.
        eps: Budget in 0..255, of an attack.
        norm: Of the budget.
        alpha: Length of a step; None: eps / 4.
        severity: Of a corruption.
        shifts: (dy, dx) each.
    """
    kind: str
    name: str
    steps: tuple[int, ...] = (0, )
    eps: Optional[float] = None
    norm: Optional[str] = None
    alpha: Optional[float] = None
    severity: Optional[int] = None
    shifts: tuple[tuple[float, float], ...] = ()
    key: str = field(init=False, compare=False)

    def __post_init__(self):
        if self.kind == 'corruption':
            details = [f'severity {self.severity}']
        elif self.kind == 'shift':
            details = [f'by {dy:g},{dx:g}' for dy, dx in self.shifts]
        else:
            details = [f'{self.norm} eps {self.eps:g}',
                       *([f'alpha {self.alpha:g}'] if self.alpha else []),
                       f'steps {",".join(map(str, self.steps))}']
        object.__setattr__(self, 'key', ', '.join([f'{self.kind} {self.name}', *details]))

    def attack(self, ignore_index: int = 255) -> Attack:
        """A new attack with this budget."""
        return ATTACKS[self.name](eps=self.eps, alpha=self.alpha, steps=max(self.steps),
                                  norm=self.norm, ignore_index=ignore_index)


def planned_attacks(names: Sequence[str], eps: Sequence[float], steps: Sequence[int], norm: str,
                    alpha: Optional[float], long: bool, transfer: bool) -> Iterator[Entry]:
    """The entries of attacks.

    An attack whose schedule depends on the number of steps is run once for each of them; one pass
    serves all numbers of the others.

    Args:
        names: Keys of :data:`mmups.attacks.ATTACKS`.
        eps: Budgets in 0..255.
        steps: Numbers of steps.
        norm: 'linf' or 'l2'.
        alpha: Length of a step; None: eps / 4.
        long: Also with ten times the steps.
        transfer: Also from another model.

    Raises:
        ValueError: An unknown attack, or a budget that :class:`mmups.attacks.ThreatModel` refuses.
    """
    for name in names:
        if name not in ATTACKS:
            raise ValueError(f'there is no attack {name!r}; attacks are {", ".join(ATTACKS)}')
    steps = sorted(set(steps))
    kinds = ['attack', *(['long'] if long else []), *(['transfer'] if transfer else [])]
    for kind in kinds:
        for name in dict.fromkeys(names):
            counts = [steps[-1]] if kind == 'transfer' else steps
            if kind == 'long':
                counts = [LONGER * steps[-1]]
            if name == 'fgsm':
                counts = [1]
                if kind == 'long':
                    continue
            runs = [tuple(counts)] if ATTACKS[name].anytime else [(count, ) for count in counts]
            for budget in sorted(set(eps)):
                for run in runs:
                    entry = Entry(kind, name, run, budget, norm, alpha)
                    entry.attack()  # raises now what it would raise later
                    yield entry


def planned_shifts(shifts: Sequence[Sequence[float]]) -> Iterator[Entry]:
    """The entries of shifts: whole pixels circular and linear, parts of pixels by a phase.

    Args:
        shifts: (dy, dx) each.
    """
    pairs = [(float(dy), float(dx)) for dy, dx in shifts]
    whole = tuple(pair for pair in pairs if all(step == int(step) for step in pair))
    parts = tuple(pair for pair in pairs if pair not in whole)
    for mode, some in (('circular', whole), ('linear', whole), ('subpixel', parts)):
        if some:
            yield Entry('shift', mode, shifts=some)
