"""Operators compiled for CPUs: ``torch.ops.mmups.*`` from ``mmups/csrc``.

They are made where mmups is installed beside torch and a C++ compiler. Here they get their shapes
for compilers (fake tensors) and their gradients.
"""
from typing import Optional

from torch import Tensor

OPERATORS = ()


def missing() -> Optional[str]:
    return 'nothing is compiled yet'


def serves(operator: str, x: Tensor) -> bool:
    return operator in OPERATORS and x.device.type == 'cpu'
