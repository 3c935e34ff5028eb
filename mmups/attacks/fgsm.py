"""The fast gradient sign method (arXiv:1412.6572), and its form for l2."""
from typing import Optional

from .attack import Attack


class FGSM(Attack):
    """One step of the whole budget, from the clean image.

    Args:
        eps: As of :class:`Attack`; so are ``norm``, ``targeted`` and ``ignore_index``.
        alpha: Has no effect, nor have ``steps`` and ``random_start``: every attack is built alike.
        steps: As ``alpha``.
        norm: 'linf' or 'l2'.
        targeted: Whether the target is to be predicted.
        random_start: As ``alpha``.
        ignore_index: Label of pixels that have no say.
    """

    def __init__(self, eps: float = 8, alpha: Optional[float] = None, steps: int = 1,
                 norm: str = 'linf', targeted: bool = False, random_start: bool = False,
                 ignore_index: int = 255):
        super().__init__(eps, eps or None, 1, norm, targeted, False, ignore_index)
