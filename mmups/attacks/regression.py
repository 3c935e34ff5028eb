"""What is wrong with a pixel where numbers are predicted: depth, colours, disparity."""
import torch.nn.functional as F
from torch import Tensor

#: Least value whose logarithm is taken.
SMALLEST = 1e-6


def log_error(values: Tensor, target: Tensor) -> Tensor:
    """|ln v - ln t| of positive values, element by element."""
    return (values.clamp_min(SMALLEST).log() - target.clamp_min(SMALLEST).log()).abs()


#: Name -> error of each element, (N, V, h, w) twice to (N, V, h, w).
ERRORS = {
    'l1': lambda values, target: F.l1_loss(values, target, reduction='none'),
    'l2': lambda values, target: F.mse_loss(values, target, reduction='none'),
    'log': log_error,
}


def check_error(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: There is no such error.
    """
    if name not in ERRORS:
        raise ValueError(f'there is no error {name!r}; errors are {", ".join(ERRORS)}')
    return name


def error_of(name: str, values: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The error of each pixel, the mean over its values.

    Args:
        name: A key of :data:`ERRORS`.
        values: (N, V, h, w).
        target: (N, V, h, w); whatever stands where it is not valid, the error there is 0.
        valid: (N, 1, h, w), 1 where there is a true value.

    Returns:
        (N, h, w).

    Raises:
        ValueError: There is no such error, or the shapes differ.
    """
    if values.shape != target.shape:
        raise ValueError(f'the values have the shape {tuple(values.shape)} and their target '
                         f'{tuple(target.shape)}: resize the values to the target')
    known = valid.expand_as(target) > 0
    # where nothing is known, both are 1: neither the error nor its gradient is NaN
    values, target = values.where(known, 1.), target.where(known, 1.)
    return ERRORS[check_error(name)](values, target).mean(1)
