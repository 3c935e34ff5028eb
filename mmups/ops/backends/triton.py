"""Triton kernels for CUDA; a CPU runs them through triton's interpreter, for tests.

Triton comes with PyTorch's builds for CUDA. With ``TRITON_INTERPRET=1`` in the environment from
the start, its interpreter takes the place of its compiler. Nothing of triton is imported before
the backend is asked for.
"""
import os
from functools import cache
from importlib.util import find_spec
from typing import Optional

import torch
from torch import Tensor

OPERATORS = ('sample_dynamic', 'reassemble', 'query_key', 'deform_query_key', 'deform_attend',
             'depthwise_transposed')
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'

_ops = torch.ops.mmups_triton  # filled by triton_ops


@cache
def missing() -> Optional[str]:
    if find_spec('triton') is None:
        return ('triton is not installed; it comes with PyTorch\'s builds for CUDA, '
                'otherwise: pip install triton')
    if not torch.cuda.is_available() and not INTERPRETED:
        return ('PyTorch finds no GPU; TRITON_INTERPRET=1 in the environment lets the CPU '
                'interpret the kernels, slowly')
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (7, 0):
        return f'{torch.cuda.get_device_name()} is older than the GPUs that triton compiles for'
    if not hasattr(torch.library, 'custom_op'):
        return 'torch.library has no custom_op; install PyTorch 2.4 or later'
    try:
        from . import triton_ops  # noqa: F401  registers the operators
    except Exception as error:  # whatever a triton of another age raises; there are other backends
        return (f'importing its kernels raises {type(error).__name__}: {error}; '
                'install the triton that your PyTorch asks for')
    return None


def serves(operator: str, x: Tensor) -> bool:
    return (operator in OPERATORS and x.dtype in DTYPES
            and (x.is_cuda or (INTERPRETED and x.device.type == 'cpu')))


def sample_dynamic(x: Tensor, offset: Tensor, scale_factor: int, groups: int) -> Tensor:
    return _ops.attend(None, x, offset, groups, 1, scale_factor, x.dtype)


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int,
               scale_factor: int) -> Tensor:
    return _ops.reassemble(x, kernels, kernel_size, groups, scale_factor, x.dtype)


def query_key(query: Tensor, key: Tensor, kernel_size: int, scale_factor: int) -> Tensor:
    dtype = torch.promote_types(query.dtype, torch.float32)
    return _ops.query_key(query, key, kernel_size, 1, scale_factor, dtype)


def deform_query_key(query: Tensor, key: Tensor, offset: Tensor, groups: int,
                     scale_factor: int) -> Tensor:
    dtype = torch.promote_types(query.dtype, torch.float32)
    points = offset.shape[1] // (2 * groups)
    logits = _ops.score(query, key, offset, groups, points, scale_factor, dtype)
    return logits.unflatten(1, (groups, points))


def deform_attend(attention: Tensor, value: Tensor, offset: Tensor, scale_factor: int) -> Tensor:
    groups, points = attention.shape[1:3]
    return _ops.attend(attention.flatten(1, 2), value, offset, groups, points, scale_factor,
                       value.dtype)


def depthwise_transposed(x: Tensor, weight: Tensor, bias: Tensor, scale_factor: int) -> Tensor:
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:  # as it does for convolutions
        dtype = torch.get_autocast_dtype(kind)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    return _ops.depthwise_transposed(x, weight, bias, scale_factor)
