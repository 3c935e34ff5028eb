"""Projected gradient descent (arXiv:1706.06083)."""
from .attack import Attack


class PGD(Attack):
    """All pixels count the same. Arguments as of :class:`Attack`."""
