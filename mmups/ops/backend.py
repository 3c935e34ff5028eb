"""Which implementation of an operator runs: decided here and nowhere else.

An operator is a public function of :mod:`mmups.ops`. A backend is a module of
:mod:`mmups.ops.backends` with functions of the same names and arguments:

============= ====================================================================================
reference     PyTorch's own operators, everywhere; what the others are held to
native        compiled for CPUs (``mmups/csrc``), where mmups was installed beside torch and
              a compiler
embedding_bag reassembly in inference on a CPU without ``native``, in PyTorch's operators
mmcv          mmcv's CUDA kernel of CARAFE
triton        kernels for CUDA; by themselves for windows and the transposed convolution, by
              name for moving points, where they save memory and not time (docs/benchmark.md)
============= ====================================================================================

Whichever runs, the numbers are the same to rounding. A backend is passed by where it has no such
operator, or none for a tensor's device or dtype, and where PyTorch looks into the computation: a
trace, an export, ``torch.func``, forward-mode differentiation.
"""
import os
from typing import Callable, Optional

import torch
from torch import Tensor

from .backends import embedding_bag, mmcv, native, reference, triton
from .fit import is_recording

AUTO = 'auto'
BACKENDS = dict(native=native, mmcv=mmcv, triton=triton, embedding_bag=embedding_bag,
                reference=reference)
#: Tried in this order where no backend is named, each for these operators (None: for all that it
#: has); then the reference.
AUTOMATIC = dict(native=None, mmcv=None,
                 triton=('reassemble', 'query_key', 'depthwise_transposed'), embedding_bag=None)

# Whether torch.vmap, torch.func.grad or the like is at work. The compiler knows this one; what
# peek_interpreter_stack returns it takes for something even where it is None.
_transform = getattr(torch._C, '_are_functorch_transforms_active', lambda: False)


def missing(name: str) -> Optional[str]:
    """Why a backend cannot be used here, and the way out; None: it can be.

    >>> missing('reference')
    """
    return BACKENDS[name].missing()


# The compiler calls such a function while it traces, and takes what it returns for constant. This
# is all that torch.compiler.assume_constant_result does, after it has imported the compiler.
missing._dynamo_marked_constant = True


class use_backend:
    """Let one backend compute whatever it can, from now on or for a ``with`` block.

    The environment variable ``MMUPS_BACKEND`` does the same from the start of a process. Where
    the named backend has no operator for a tensor, the reference computes it.

    Args:
        name: A backend of the table above; 'auto': the fastest, by device and dtype.

    Raises:
        ValueError: No such backend, or it is missing here; the message says what to install.

    >>> with use_backend('reference'):
    ...     current_backend()
    'reference'
    """

    def __init__(self, name: str):
        global _named
        self._before, _named = _named, _checked(name)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error) -> None:
        global _named
        _named = self._before


def current_backend() -> str:
    """The backend that :class:`use_backend` named, or 'auto'.

    >>> with use_backend('auto'):
    ...     current_backend()
    'auto'
    """
    return _named


def implementation(operator: str, x: Tensor) -> Callable:
    """The function that computes ``operator`` for tensors such as ``x``."""
    if not is_recording() and not _transform() and not _forward_mode():
        for name, operators in AUTOMATIC.items() if _named == AUTO else ((_named, None), ):
            if ((operators is None or operator in operators)
                    and BACKENDS[name].serves(operator, x) and missing(name) is None):
                return getattr(BACKENDS[name], operator)
    return getattr(reference, operator)


def _forward_mode() -> bool:
    return torch.autograd.forward_ad._current_level >= 0


def _checked(name: str) -> str:
    if name not in (AUTO, *BACKENDS):
        raise ValueError(f'no backend {name!r}: one of {", ".join((AUTO, *BACKENDS))}')
    if name != AUTO and (reason := missing(name)):
        raise ValueError(f'the backend {name!r} cannot be used here: {reason}')
    return name


_named = AUTO
_named = _checked(os.environ.get('MMUPS_BACKEND', AUTO))
