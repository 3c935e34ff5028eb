"""Operators compiled for CPUs: ``torch.ops.mmups.*`` from ``mmups/csrc``.

The library ``mmups._C`` is made where mmups is installed beside torch and a C++ compiler. It has
vector code for several instruction sets and takes what the processor has. Here its operators get
their shapes for compilers (fake tensors) and their gradients.

Sums and coordinates are in float32, for float64 maps in float64. A map comes out in the memory
format of the one that went in. Every element is written by one thread, whose order of summation
does not depend on how many there are: results repeat bit by bit.
"""
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Optional

import torch
from torch import Tensor

from . import reference

OPERATORS = ('sample_dynamic', 'reassemble', 'query_key', 'deform_query_key', 'deform_attend',
             'depthwise_transposed')
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
WAY_OUT = 'install mmups beside torch and a C++ compiler: pip install --no-build-isolation .'


def missing() -> Optional[str]:
    return _library()


def serves(operator: str, x: Tensor) -> bool:
    """Maps on a CPU. What autocast would run in half precision is left to PyTorch."""
    return (operator in OPERATORS and x.device.type == 'cpu' and x.dtype in DTYPES
            and not (operator == 'depthwise_transposed' and _autocast()))


def _autocast() -> bool:
    return torch.is_autocast_enabled('cpu')


@cache
def _library() -> Optional[str]:
    """Load the library and complete its operators; what keeps it from being used, or None."""
    if find_spec('mmups._C') is None:
        return f'mmups was installed without its compiled operators; {WAY_OUT}'
    if not hasattr(torch.library, 'register_autograd'):
        return f'the compiled operators need PyTorch 2.4, this is {torch.__version__}'
    problem = None
    try:
        import_module('mmups._C')
        built_for = torch.ops.mmups.built_for()
        if built_for != torch.__version__.split('+')[0]:
            problem = f'they were compiled for torch {built_for}, this is {torch.__version__}'
    except Exception as error:  # a missing symbol, another architecture
        problem = f'{type(error).__name__}: {error}'
    if problem is None:
        _complete()
        return None
    problem = f'its compiled operators cannot be used ({problem}); {WAY_OUT}'
    warnings.warn(f'mmups works without acceleration: {problem}', stacklevel=2)
    return problem


def instruction_set() -> str:
    """Of the vector code in use: 'AVX512', 'AVX2', or 'portable', which every processor has."""
    return torch.ops.mmups.instruction_set()


def sample_dynamic(x: Tensor, offset: Tensor, scale_factor: int, groups: int) -> Tensor:
    return torch.ops.mmups.sample_dynamic(x, offset, scale_factor, groups)


def reassemble(x: Tensor, kernels: Tensor, kernel_size: int, groups: int,
               scale_factor: int) -> Tensor:
    return torch.ops.mmups.reassemble(x, kernels, kernel_size, groups, scale_factor)


def query_key(query: Tensor, key: Tensor, kernel_size: int, scale_factor: int) -> Tensor:
    return torch.ops.mmups.query_key(query, key, kernel_size, 1, scale_factor)


def deform_query_key(query: Tensor, key: Tensor, offset: Tensor, groups: int,
                     scale_factor: int) -> Tensor:
    return torch.ops.mmups.deform_query_key(query, key, offset, groups, scale_factor)


def deform_attend(attention: Tensor, value: Tensor, offset: Tensor, scale_factor: int) -> Tensor:
    return torch.ops.mmups.deform_attend(attention, value, offset, scale_factor)


def depthwise_transposed(x: Tensor, weight: Tensor, bias: Tensor, scale_factor: int) -> Tensor:
    return torch.ops.mmups.depthwise_transposed(x, weight, bias, scale_factor)


def _complete() -> None:
    """Shapes and gradients of the operators.

    ``reassemble``, ``query_key`` and ``reassemble_adjoint`` are one another's gradients, to any
    order. Those of the sampling operators have none of their own: where a gradient is to be
    differentiated, it is computed by the reference.
    """
    ops = torch.ops.mmups

    def like(x: Tensor, *shape: int) -> Tensor:
        """An empty result in the memory format of ``x``, as the library makes it."""
        out = x.new_empty(shape)
        channels_last = not x.is_contiguous() and x.is_contiguous(
            memory_format=torch.channels_last)
        return out.to(memory_format=torch.channels_last) if channels_last else out

    def sums(x: Tensor, *shape: int) -> Tensor:
        return x.new_empty(shape, dtype=torch.promote_types(x.dtype, torch.float32))

    def fine(x: Tensor, s: int) -> Tensor:
        return like(x, *x.shape[:2], x.shape[2] * s, x.shape[3] * s)

    fakes = dict(
        reassemble=lambda x, kernels, k, g, s: fine(x, s),
        query_key=lambda query, key, k, g, s: sums(query, key.shape[0], g * k * k * s * s,
                                                   *key.shape[2:]),
        reassemble_adjoint=lambda grad, kernels, k, g, s: grad.new_empty(
            (*grad.shape[:2], *kernels.shape[2:])),
        sample_dynamic=lambda x, offset, s, g: fine(x, s),
        sample_dynamic_backward=lambda grad, x, offset, s, g: (
            torch.empty_like(x), offset.new_empty(offset.shape)),
        deform_query_key=lambda query, key, offset, g, s: sums(
            query, query.shape[0], g, offset.shape[1] // (2 * g), *query.shape[2:]),
        deform_attend=lambda attention, value, offset, s: fine(value, s),
        deform_adjoint=lambda grad, weights, offset, coarse, s: (
            torch.empty_like(coarse), offset.new_empty(offset.shape)),
        depthwise_transposed=lambda x, weight, bias, s: fine(x, s))
    for name, fake in fakes.items():
        torch.library.register_fake(f'mmups::{name}', fake)

    def keep(ctx, inputs, output):
        ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)))
        ctx.numbers = tuple(value for value in inputs if not isinstance(value, Tensor))

    def through_reference(operator, tensors, numbers, grad):
        return torch.autograd.grad(getattr(reference, operator)(*tensors, *numbers), tensors,
                                   grad, create_graph=True)

    def backward_reassemble(ctx, grad):
        x, kernels = ctx.saved_tensors
        for_x, for_kernels, *_ = ctx.needs_input_grad
        return (ops.reassemble_adjoint(grad, kernels, *ctx.numbers).to(x.dtype) if for_x else None,
                ops.query_key(grad, x, *ctx.numbers).to(kernels.dtype) if for_kernels else None,
                None, None, None)

    def backward_query_key(ctx, grad):
        query, key = ctx.saved_tensors
        for_query, for_key, *_ = ctx.needs_input_grad
        return (ops.reassemble(key, grad, *ctx.numbers).to(query.dtype) if for_query else None,
                ops.reassemble_adjoint(query, grad, *ctx.numbers).to(key.dtype)
                if for_key else None, None, None, None)

    def backward_reassemble_adjoint(ctx, grad):
        out, kernels = ctx.saved_tensors
        return (ops.reassemble(grad, kernels, *ctx.numbers).to(out.dtype),
                ops.query_key(out, grad, *ctx.numbers).to(kernels.dtype), None, None, None)

    def backward_sample(ctx, grad):
        if torch.is_grad_enabled():
            grads = through_reference('sample_dynamic', ctx.saved_tensors, ctx.numbers, grad)
        else:
            grads = ops.sample_dynamic_backward(grad, *ctx.saved_tensors, *ctx.numbers)
        return (*grads, None, None)

    def backward_deform_query_key(ctx, grad):
        query, key, offset = ctx.saved_tensors
        groups, scale_factor = ctx.numbers
        if torch.is_grad_enabled():
            return (*through_reference('deform_query_key', ctx.saved_tensors, ctx.numbers, grad),
                    None, None)
        grad_query = ops.deform_attend(grad, key, offset, scale_factor).to(query.dtype)
        return (grad_query, *ops.deform_adjoint(query, grad, offset, key, scale_factor), None,
                None)

    def backward_deform_attend(ctx, grad):
        attention, value, offset = ctx.saved_tensors
        scale_factor, = ctx.numbers
        if torch.is_grad_enabled():
            return (*through_reference('deform_attend', ctx.saved_tensors, ctx.numbers, grad),
                    None)
        grad_attention = ops.deform_query_key(grad, value, offset, attention.shape[1],
                                              scale_factor).to(attention.dtype)
        grad_value, grad_offset = ops.deform_adjoint(grad, attention, offset, value, scale_factor)
        return grad_attention, grad_value, grad_offset, None

    def backward_depthwise(ctx, grad):
        x, weight, bias = ctx.saved_tensors
        s, channels = ctx.numbers[0], x.shape[1]
        padding = weight.shape[-1] // 2
        return (*torch.ops.aten.convolution_backward(
            grad, x, weight, [channels], [s, s], [padding, padding], [1, 1], True,
            [s - 1, s - 1], channels, list(ctx.needs_input_grad[:3])), None)

    for name, backward in dict(
            reassemble=backward_reassemble, query_key=backward_query_key,
            reassemble_adjoint=backward_reassemble_adjoint, sample_dynamic=backward_sample,
            deform_query_key=backward_deform_query_key, deform_attend=backward_deform_attend,
            depthwise_transposed=backward_depthwise).items():
        torch.library.register_autograd(f'mmups::{name}', backward, setup_context=keep)
