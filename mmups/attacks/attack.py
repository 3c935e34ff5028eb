"""The loop that all attacks share."""
from collections.abc import Callable
from typing import ClassVar, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .regression import error_of
from .threat import Ball, ThreatModel

Callback = Callable[[int, Tensor, Tensor], None]


def class_logits(logits: Tensor) -> Tensor:
    """Logits (N, K, H, W) in float32; one logit s becomes the two of p = (1 - s, s)."""
    logits = logits.float()
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits


class Steps:
    """Steps of one length along the gradient; the last image is the result.

    Args:
        ball: The images within the budget.
        threat: The budget.
    """
    needs_last_loss: ClassVar[bool] = False

    def __init__(self, ball: Ball, threat: ThreatModel):
        self.ball = ball

    def advance(self, x: Tensor, gradient: Tensor, gain: Tensor) -> Tensor:
        """The next images.

        Args:
            x: The present ones (N, C, H, W).
            gradient: Of the gain, (N, C, H, W).
            gain: What is climbed, (N, ).
        """
        return self.ball.project(x + self.ball.step * self.ball.unit(gradient))

    def result(self, x: Tensor, gain: Optional[Tensor]) -> Tensor:
        """The adversarial images, given the last ones and, if it is needed, their gain."""
        return x


class Attack:
    """Climbs a loss within a budget. Subclasses are papers.

    Args:
        eps: Budget in units of 0..255 for both norms (8 is 8/255; an l2 budget is the length of
            the change of the whole image).
        alpha: Length of a step in the same unit. None: eps / 4.
        steps: Number of steps.
        norm: 'linf' or 'l2'.
        targeted: True: ``target`` is what the attack wants to be predicted.
        random_start: Whether it starts from a random image within the budget.
        ignore_index: Label of pixels that have no say.

    Raises:
        ValueError: As in :class:`ThreatModel`.
    """
    #: Whether the first k of T steps are an attack with k steps.
    anytime: ClassVar[bool] = True
    #: Whether it looks at more than a loss: on a loss alone it is PGD.
    weighs_pixels: ClassVar[bool] = False
    rule: ClassVar[type] = Steps

    def __init__(self, eps: float = 8, alpha: Optional[float] = None, steps: int = 20,
                 norm: str = 'linf', targeted: bool = False, random_start: bool = True,
                 ignore_index: int = 255):
        self.threat = ThreatModel(norm, eps, alpha, steps, random_start, targeted)
        self.ignore_index = ignore_index

    def __call__(self, logits_of: Callable[[Tensor], Tensor], image: Tensor, target: Tensor,
                 mask: Optional[Tensor] = None, generator: Optional[torch.Generator] = None,
                 callback: Optional[Callback] = None) -> Tensor:
        """Attack per-pixel logits by their cross-entropy.

        Args:
            logits_of: Images (N, C, H, W) in [0, 1] to logits (N, K, h, w); K = 1 is a binary head,
                whose classes have the probabilities 1 - sigmoid and sigmoid.
            image: (N, C, H, W) in [0, 1].
            target: Labels (N, h, w), integers.
            mask: (N, 1, H, W), the attackable area; None: all of it.
            generator: Of the random start.
            callback: Called with the number of steps taken (0 to ``steps``), the images after
                them and their logits, which costs one more forward pass.

        Returns:
            Adversarial images (N, C, H, W) in [0, 1], float32.

        Raises:
            ValueError: ``image`` is outside [0, 1], no gradient reaches it, a label is no class.
        """
        target = target.long()
        valid = target != self.ignore_index
        labels = target.masked_fill(~valid, 0)
        share = valid / valid.sum((1, 2), keepdim=True).clamp_min(1)

        def objective(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
            output = logits_of(x)
            logits = class_logits(output)
            if step == 0:
                self._check(logits, labels)
            loss = F.cross_entropy(logits, labels, reduction='none')
            weights = self.pixel_weights(logits.detach(), target, step)
            return (weights * share * loss).sum((1, 2)), output

        return self._climb(objective, image, mask, generator, callback)

    def attack_regression(self, values_of: Callable[[Tensor], Tensor], image: Tensor,
                          target: Tensor, error: str = 'l1', valid: Optional[Tensor] = None,
                          mask: Optional[Tensor] = None,
                          generator: Optional[torch.Generator] = None,
                          callback: Optional[Callback] = None) -> Tensor:
        """Attack numbers per pixel, such as depth or a restored image.

        Args:
            values_of: Images (N, C, H, W) in [0, 1] to values (N, V, h, w). What is clamped has no
                gradient: give the values before that.
            target: True values (N, V, h, w).
            error: A key of :data:`mmups.attacks.regression.ERRORS`.
            valid: (N, 1, h, w), the pixels that have a true value; None: all.
            mask: The attackable area.
            generator: Of the random start.
            callback: As in :meth:`__call__`, with the values in place of logits.

        Returns:
            Adversarial images (N, C, H, W) in [0, 1], float32.

        Raises:
            ValueError: ``image`` is outside [0, 1], no gradient reaches it, the values have another
                shape than the target, the error is unknown, or the attack is for classes only.
        """
        valid = torch.ones_like(target[:, :1]) if valid is None else valid.to(target)
        share = valid[:, 0] / valid.sum((1, 2, 3), keepdim=True)[:, 0].clamp_min(1)

        def objective(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
            values = values_of(x).float()
            errors = error_of(error, values, target, valid)
            weights = self.value_weights(values.detach(), target)
            # where nothing is known the weight may be NaN, and 0 * NaN is no 0
            return (weights.where(share > 0, 0.) * share * errors).sum((1, 2)), values

        return self._climb(objective, image, mask, generator, callback)

    def attack_loss(self, loss_of: Callable[[Tensor], Tensor], image: Tensor,
                    mask: Optional[Tensor] = None, generator: Optional[torch.Generator] = None,
                    callback: Optional[Callback] = None) -> Tensor:
        """Attack a loss, as of a detector. There are no pixels to weigh: CosPGD and SegPGD are PGD.

        Args:
            loss_of: Images (N, C, H, W) in [0, 1] to a loss, one number or one for each image.
            image: As in :meth:`__call__`; so are ``mask`` and ``generator``.
            mask: The attackable area.
            generator: Of the random start.
            callback: As in :meth:`__call__`, with the loss in place of logits.

        Returns:
            Adversarial images (N, C, H, W) in [0, 1], float32.

        Raises:
            ValueError: ``image`` is outside [0, 1], or no gradient reaches it.
        """

        def objective(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
            loss = loss_of(x)
            return loss.float().reshape(-1).expand(len(x)), loss

        return self._climb(objective, image, mask, generator, callback)

    def pixel_weights(self, logits: Tensor, target: Tensor, step: int) -> Tensor:
        """What each pixel's loss counts; the one method that variants override.

        Args:
            logits: (N, K, h, w), detached.
            target: Labels (N, h, w), with ignored ones.
            step: Steps taken before, 0 to ``steps`` - 1.

        Returns:
            (N, h, w), 0 for ignored pixels.
        """
        return (target != self.ignore_index).float()

    def value_weights(self, values: Tensor, target: Tensor) -> Tensor:
        """What each pixel's error counts where numbers are predicted.

        Args:
            values: (N, V, h, w), detached.
            target: (N, V, h, w).

        Returns:
            (N, h, w).

        Raises:
            ValueError: The attack looks at classes.
        """
        return torch.ones_like(values[:, 0])

    def _check(self, logits: Tensor, labels: Tensor) -> None:
        if logits.shape[2:] != labels.shape[1:] or len(logits) != len(labels):
            raise ValueError(f'the logits have the shape {tuple(logits.shape)} and the labels '
                             f'{tuple(labels.shape)}: resize the logits to the labels')
        if labels.numel() and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
            raise ValueError(f'the labels go from {labels.min()} to {labels.max()}, and the logits '
                             f'have {logits.shape[1]} classes; pixels without a class have the '
                             f'label ignore_index={self.ignore_index}')

    def _climb(self, objective: Callable[[Tensor, int], tuple[Tensor, Tensor]], image: Tensor,
               mask: Optional[Tensor], generator: Optional[torch.Generator],
               callback: Optional[Callback]) -> Tensor:
        if image.numel() and not 0 <= image.min() <= image.max() <= 1:
            raise ValueError(f'images have to be in [0, 1], and these go from {image.min():.4g} to '
                             f'{image.max():.4g}: divide by 255, and normalise inside the model')
        image = image.detach().float()
        ball = Ball(self.threat, image, mask)
        rule = self.rule(ball, self.threat)
        sign = -1 if self.threat.targeted else 1
        with torch.autocast(image.device.type, enabled=False):
            x = ball.random(generator) if self.threat.random_start else image.clone()
            for step in range(self.threat.steps):
                x.requires_grad_()
                with torch.enable_grad():
                    loss, output = objective(x, step)
                    if not loss.requires_grad:
                        raise ValueError('no gradient reaches the image: something between it and '
                                         'the loss runs under torch.no_grad or detaches')
                    gradient, = torch.autograd.grad(loss.sum(), x)
                x = x.detach()
                if callback:
                    callback(step, x, output.detach())
                x = rule.advance(x, sign * gradient, sign * loss.detach())
            gain = None
            if callback or rule.needs_last_loss:
                with torch.no_grad():
                    loss, output = objective(x, self.threat.steps)
                gain = sign * loss
                if callback:
                    callback(self.threat.steps, x, output)
            return rule.result(x, gain)
