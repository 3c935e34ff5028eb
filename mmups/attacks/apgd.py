"""Auto-PGD (Croce and Hein, ICML 2020, arXiv:2003.01690).

Deviation: where it goes back to the best image, the momentum of what failed is forgotten.
"""
import torch
from torch import Tensor

from .attack import Attack, Steps
from .threat import Ball, ThreatModel

MOMENTUM = 0.75
#: Share of steps that have to improve the loss between two checkpoints.
ENOUGH = 0.75


class AdaptiveSteps(Steps):
    """Steps of twice the budget, with momentum; halved, from the best image on, where they fail.

    Args:
        ball: The images within the budget.
        threat: The budget. ``alpha`` has no effect.
    """
    needs_last_loss = True

    def __init__(self, ball: Ball, threat: ThreatModel):
        super().__init__(ball, threat)
        n = len(ball.image)
        like = dict(device=ball.image.device)
        self.length = torch.full((n, 1, 1, 1), 2 * threat.eps / 255, **like)
        self.previous = self.previous_gain = None
        self.best, self.best_gradient = ball.image, torch.zeros_like(ball.image)
        self.best_gain = torch.full((n, ), -torch.inf, **like)
        self.improved = torch.zeros(n, **like)
        # Of the last checkpoint: the best gain, and whether the steps were halved.
        self.mark, self.halved = self.best_gain, torch.ones(n, dtype=torch.bool, **like)
        self.period = max(int(0.22 * threat.steps), 1)
        self.shrink, self.least = max(int(0.03 * threat.steps), 1), max(int(0.06 * threat.steps), 1)
        self.since = 0

    def _note(self, x: Tensor, gradient: Tensor, gain: Tensor) -> None:
        better = gain > self.best_gain
        where = better[:, None, None, None]
        self.best = torch.where(where, x, self.best)
        self.best_gradient = torch.where(where, gradient, self.best_gradient)
        self.best_gain = torch.where(better, gain, self.best_gain)

    def advance(self, x: Tensor, gradient: Tensor, gain: Tensor) -> Tensor:
        self._note(x, gradient, gain)
        first = self.previous is None
        if first:
            self.previous_gain = self.mark = gain
        else:
            self.improved += gain > self.previous_gain
            self.previous_gain = gain
            self.since += 1
        if self.since == self.period:
            x, gradient = self._check(x, gradient)
        step = self.ball.project(x + self.length * self.ball.unit(gradient))
        if not first:
            momentum = (1 - MOMENTUM) * (x - self.previous)
            step = self.ball.project(x + MOMENTUM * (step - x) + momentum)
        self.previous = x
        return step

    def _check(self, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        stuck = ~self.halved & (self.best_gain <= self.mark)
        self.halved = (self.improved < ENOUGH * self.since) | stuck
        where = self.halved[:, None, None, None]
        self.length = torch.where(where, self.length / 2, self.length)
        self.mark = self.best_gain
        self.improved = torch.zeros_like(self.improved)
        self.period, self.since = max(self.period - self.shrink, self.least), 0
        self.previous = torch.where(where, self.best, self.previous)
        return torch.where(where, self.best, x), torch.where(where, self.best_gradient, gradient)

    def result(self, x: Tensor, gain: Tensor) -> Tensor:
        self._note(x, torch.zeros_like(x), gain)
        return self.best


class APGD(Attack):
    """PGD whose steps adapt, and which returns the best image it met.

    Arguments as of :class:`Attack`; ``alpha`` has no effect.
    """
    anytime = False
    rule = AdaptiveSteps
