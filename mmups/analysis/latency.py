"""Seconds of functions, each beside a baseline that runs in the same round."""
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: Rounds of a function, at most.
        budget: Seconds after which a function takes part in no further round.
        at_least: Rounds of a function whatever they take, where ``rounds`` allows it.
        turn: Seconds for which a function is called again and again in one round.

    Raises:
        ValueError: ``rounds`` is below 1, or ``budget`` not positive.
    """
    rounds: int = 7
    budget: float = 5.
    at_least: int = 3
    turn: float = 0.1

    def __post_init__(self):
        if self.rounds < 1 or not self.budget > 0:
            raise ValueError('measuring needs at least 1 round and a budget above 0 seconds, got '
                             f'{self.rounds} and {self.budget}')

    def allows(self, timing: 'Timing') -> bool:
        """Whether a function takes part in one more round."""
        done = len(timing.seconds)
        if done < min(self.rounds, self.at_least):
            return True
        return done < self.rounds and timing.spent * (done + 1) / done <= self.budget


@dataclass
class Timing:
    """What a function took.

    Attributes:
        seconds: Of one call, the median of each round.
        baseline: The same of the baseline, in the same rounds.
        calls: Calls in all rounds together.
        spent: Their seconds.
    """
    seconds: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    calls: int = 0
    spent: float = 0.

    @property
    def ratios(self) -> list[float]:
        """To the baseline, of each round."""
        return [own / base for own, base in zip(self.seconds, self.baseline)]


def interleave(baseline: Callable[[], object], functions: Mapping[str, Callable[[], object]],
               effort: Effort = Effort(),  # noqa: B008  it is frozen
               clock: Callable[[], float] = time.perf_counter) -> dict[str, Timing]:
    """Measure functions against a baseline: baseline, A, B, ..., baseline, A, B, ...

    What slows the machine down for a while slows both sides of a round's ratio. Nothing is warmed
    up here.

    Args:
        baseline: What the ratios are to.
        functions: Name -> what is measured, in this order.
        effort: How long.
        clock: Seconds; it returns when everything that was called before has been computed.

    Returns:
        Name -> timing.
    """
    timings = {name: Timing() for name in functions}
    while running := [name for name, timing in timings.items() if effort.allows(timing)]:
        base = statistics.median(_turn(baseline, effort.turn, clock))
        for name in running:
            times = _turn(functions[name], effort.turn, clock)
            timing = timings[name]
            timing.seconds.append(statistics.median(times))
            timing.baseline.append(base)
            timing.calls += len(times)
            timing.spent += sum(times)
    return timings


def _turn(function: Callable[[], object], seconds: float, clock: Callable[[], float]
          ) -> list[float]:
    times = []
    while not times or sum(times) < seconds:
        start = clock()
        function()
        times.append(clock() - start)
    return times


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of one value, that one.

    >>> quartiles([1., 2., 3., 4., 5.])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, middle, high
