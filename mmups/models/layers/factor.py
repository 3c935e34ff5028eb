"""The factor of a host's step, in whatever form its config has it."""
from typing import Any


def whole_factor(value: Any) -> int:
    """2 for 2, 2.0, (2, 2) and numpy's numbers.

    Args:
        value: A host's ``scale_factor``.

    Raises:
        ValueError: An upsampler cannot have it: it is no whole number, or differs between height
            and width.
    """
    factors = set(value) if isinstance(value, (tuple, list)) else {value}
    try:
        factor, = factors
        if int(factor) == factor >= 1:
            return int(factor)
    except (TypeError, ValueError):  # of no number, or of two
        pass
    raise ValueError(f'an upsampler needs one whole factor for height and width, and the host has '
                     f'scale_factor={value!r}')
