"""Measuring in rounds, by a clock that the test moves."""
import statistics

import pytest

from mmups.analysis import Effort, interleave, quartiles


class Machine:
    """Functions that take as long as they are told, and a note of their order."""

    def __init__(self):
        self.now, self.order = 0., []

    def clock(self):
        return self.now

    def takes(self, name, *seconds):
        """A function whose calls take these seconds in turn, the last of them from then on."""
        left = list(seconds)

        def function():
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
        return function


@pytest.fixture
def machine():
    return Machine()


def measure(machine, baseline, functions, **effort):
    return interleave(baseline, functions, Effort(**{'turn': 0., **effort}), machine.clock)


def test_order_and_ratios(machine):
    base = machine.takes('base', 1, 2, 4)
    timings = measure(machine, base, dict(a=machine.takes('a', 2, 4, 4),
                                          b=machine.takes('b', 1)), rounds=3, budget=100)
    assert machine.order == ['base', 'a', 'b'] * 3
    assert timings['a'].seconds == [2, 4, 4] and timings['a'].baseline == [1, 2, 4]
    assert timings['a'].ratios == [2, 2, 1]
    assert timings['b'].ratios == [1, 0.5, 0.25]
    assert (timings['a'].calls, timings['a'].spent) == (3, 10)


def test_what_slows_both_down_does_not_count(machine):
    """A machine that is ten times slower in one round."""
    timings = measure(machine, machine.takes('base', 1, 10, 1),
                      dict(a=machine.takes('a', 3, 30, 3)), rounds=3, budget=100)
    assert timings['a'].ratios == [3, 3, 3]


@pytest.mark.parametrize(('seconds', 'rounds'), [
    (0.5, 7), (1.375, 7), (1.5, 6), (2, 5), (3, 3), (60, 3)])
def test_budget(machine, seconds, rounds):
    """As many rounds as fit into 10 seconds, 3 at least and 7 at most."""
    timings = measure(machine, machine.takes('base', 1), dict(a=machine.takes('a', seconds)),
                      budget=10)
    assert len(timings['a'].seconds) == rounds


def test_one_round_is_one_round(machine):
    timings = measure(machine, machine.takes('base', 1), dict(a=machine.takes('a', 9)), rounds=1)
    assert timings['a'].ratios == [9]


def test_who_is_done_leaves_and_the_baseline_stays(machine):
    measure(machine, machine.takes('base', 1),
            dict(slow=machine.takes('slow', 60), quick=machine.takes('quick', 1)), rounds=5)
    assert machine.order == ['base', 'slow', 'quick'] * 3 + ['base', 'quick'] * 2


def test_a_turn_lasts(machine):
    """Short calls are repeated for a tenth of a second; the round's time is their median."""
    timings = measure(machine, machine.takes('base', 0.125),
                      dict(a=machine.takes('a', 0.5, 0.0625, 0.03125, 0.03125)), rounds=2, turn=0.1)
    assert machine.order == ['base', 'a', 'base', *'aaa']
    second = statistics.median([0.0625, 0.03125, 0.03125])
    assert timings['a'].seconds == [0.5, second]
    assert timings['a'].calls == 4


def test_quartiles():
    """By linear interpolation between the ordered values."""
    assert quartiles([4.]) == (4, 4, 4)
    assert quartiles([3, 1, 2]) == (1.5, 2, 2.5)
    assert quartiles([7, 1, 2, 3, 4, 5, 6]) == (2.5, 4, 5.5)


@pytest.mark.parametrize(('effort', 'message'), [
    (dict(rounds=0), 'got 0 and 5'), (dict(budget=0), 'got 7 and 0'),
    (dict(budget=float('nan')), 'got 7 and nan')])
def test_refused(effort, message):
    with pytest.raises(ValueError, match=message):
        Effort(**effort)
