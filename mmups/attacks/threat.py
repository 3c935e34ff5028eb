"""What an attacker may do: the budget, and the images within it.

Source: the steps and starts of PGD (arXiv:1706.06083) in both norms as CosPGD (arXiv:2302.02213)
uses them. Deviations: the mask, and a radius that is smaller by the rounding of float32.
"""
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional

import torch
from torch import Tensor


class Norm(NamedTuple):
    """How one norm measures differences of images (N, C, H, W)."""
    unit: Callable[[Tensor], Tensor]  # direction of steepest ascent, of length 1
    shrink: Callable[[Tensor, float], Tensor]  # nearest difference that is no longer than this
    noise: Callable[[Tensor], Tensor]  # random start of length 1 from uniform numbers in [-1, 1]


def _length(difference: Tensor) -> Tensor:
    return torch.linalg.vector_norm(difference, dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)


NORMS = {
    'linf': Norm(torch.sign, lambda difference, radius: difference.clamp(-radius, radius),
                 lambda uniform: uniform),
    'l2': Norm(lambda gradient: gradient / _length(gradient),
               lambda difference, radius: difference * (radius / _length(difference)).clamp(max=1),
               lambda uniform: uniform / _length(uniform)),
}


@dataclass(frozen=True)
class ThreatModel:
    """A budget, and how it is spent.

    Args:
        norm: 'linf': the greatest change of a value; 'l2': the Euclidean length of the change of
            a whole image.
        eps: Size of the budget in units of 0..255, for both norms: 8 is 8/255 of the range.
        alpha: Length of a step in the same unit. None: a quarter of ``eps``.
        steps: Number of steps.
        random_start: Whether the first step is taken from a random image within the budget.
        targeted: True: the attack draws predictions to the target, else away from it.

    Raises:
        ValueError: An unknown norm, a negative number, no step; an ``eps`` between 0 and 0.1 or an
            ``alpha`` below a hundredth of ``eps``, which are meant in [0, 1].
    """
    norm: str = 'linf'
    eps: float = 8
    alpha: Optional[float] = None
    steps: int = 20
    random_start: bool = True
    targeted: bool = False

    def __post_init__(self):
        if self.norm not in NORMS:
            raise ValueError(f'there is no norm {self.norm!r}; norm is one of {sorted(NORMS)}')
        if not 0 <= self.eps <= 1e6:
            raise ValueError(f'eps must be a number from 0 on, got {self.eps}')
        if 0 < self.eps < 0.1:
            raise ValueError(f'eps is in units of 0..255, and {self.eps} looks like one of [0, 1]: '
                             f'write {self.eps * 255:.3g}')
        if self.alpha is not None and not 0 < self.alpha <= 1e6:
            raise ValueError(f'alpha must be a number above 0, or None for eps / 4, got '
                             f'{self.alpha}')
        if self.alpha is not None and self.alpha < self.eps / 100:
            raise ValueError(f'alpha is in units of 0..255 as eps is, and {self.alpha} beside an '
                             f'eps of {self.eps} looks like one of [0, 1]: write '
                             f'{self.alpha * 255:.3g}, or leave it out for eps / 4')
        if self.steps != int(self.steps) or self.steps < 1:
            raise ValueError(f'steps must be an integer from 1 on, got {self.steps}')


class Ball:
    """The images within a budget around a batch.

    Args:
        threat: The budget.
        image: Clean images (N, C, H, W) in [0, 1].
        mask: (N, 1, H, W), the attackable area; None: all of it.
    """

    def __init__(self, threat: ThreatModel, image: Tensor, mask: Optional[Tensor] = None):
        self.image = image
        self.mask = torch.ones_like(image[:, :1]) if mask is None else mask.to(image)
        self.norm = NORMS[threat.norm]
        # The one conversion of units. What float32 rounds when a difference is added to an image
        # (2 ** -25 at most) and when a length is summed is taken off the budget beforehand.
        self.radius = max(threat.eps / 255 * (1 - 1e-6) - 2**-24, 0)
        self.step = (threat.eps / 4 if threat.alpha is None else threat.alpha) / 255

    def project(self, x: Tensor) -> Tensor:
        """The image of the ball and of [0, 1] that stands for ``x`` (N, C, H, W)."""
        difference = self.norm.shrink((x - self.image) * self.mask, self.radius)
        return (self.image + difference).clamp(0, 1)

    def unit(self, gradient: Tensor) -> Tensor:
        """Direction of length 1 in which a loss with this gradient grows most."""
        return self.norm.unit(gradient * self.mask)

    def random(self, generator: Optional[torch.Generator] = None) -> Tensor:
        """A random image within the budget: uniform for linf, on the border for l2."""
        device = self.image.device if generator is None else generator.device
        uniform = torch.rand(self.image.shape, generator=generator, device=device) * 2 - 1
        noise = self.norm.noise(uniform.to(self.image) * self.mask)
        return self.project(self.image + self.radius * noise)
