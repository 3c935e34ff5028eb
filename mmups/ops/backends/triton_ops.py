"""The kernels as operators of PyTorch, ``torch.ops.mmups_triton.*``: shapes, launches, gradients.

The operators of windows are one another's gradients, to any order. Those of points are not, in the
points and in the map: there, a gradient that is to be differentiated is the reference's.

With ``torch.use_deterministic_algorithms(True)``, ``spread`` adds up in 64-bit integers: what it
adds is rounded to 2**-62 of the largest sum that could come about.
"""
from typing import Optional, Tuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import reference
from . import triton_kernels as kernels

#: Values of a tile (channels x pixels), few enough for registers, and how many channels at most:
#: pixels lie side by side in memory, unless a map is channels_last.
TILE, CHANNELS, CHANNELS_LAST = 1024, 16, 64


def _operator(function):
    name = f'mmups_triton::{function.__name__}'
    return torch.library.custom_op(name, function, mutates_args=())


def _launch(kernel, x: Tensor, pixels: int, second: int, *args, **constants) -> None:
    """Run a kernel on N x pixels and ``second`` groups and channels, on the device of ``x``."""
    if x.shape[0] * pixels * second == 0:
        return
    acc = tl.float64 if x.dtype == torch.float64 else tl.float32
    grid = x.shape[0] * triton.cdiv(pixels, constants['BLOCK_P']), second
    with torch.cuda.device_of(x):
        # Fused multiply-adds are triton's default up to 3.9; the next releases ask.
        kernel[grid](*args, **constants, ACC=acc, enable_fp_fusion=True)


def _tile(x: Tensor, groups: int) -> Tuple[int, dict]:
    """How many blocks the channels of a map make, and the tile that follows."""
    channels = x.shape[1] // groups
    most = CHANNELS_LAST if x.stride(1) == 1 else CHANNELS
    block = min(most, triton.next_power_of_2(channels))
    return (groups * triton.cdiv(channels, block),
            dict(BLOCK_C=block, BLOCK_P=TILE // max(block, CHANNELS)))


def _map(like: Tensor, channels: int, h: int, w: int, dtype: torch.dtype) -> Tensor:
    """A map in the memory format of another."""
    last = like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous()
    return torch.empty((like.shape[0], channels, h, w), dtype=dtype, device=like.device,
                       memory_format=torch.channels_last if last else torch.contiguous_format)


def _upsampled(x: Tensor, scale_factor: int, dtype: torch.dtype) -> Tensor:
    h, w = x.shape[2:]
    return _map(x, x.shape[1], h * scale_factor, w * scale_factor, dtype)


def _expect(name: str, tensor: Tensor, *shape: int) -> None:
    """A kernel would read beyond a tensor of another shape."""
    if tensor.shape != shape:
        raise ValueError(f'{name} has the shape {tuple(tensor.shape)}; {shape} fits the others')


def _keep(*positions):
    """``setup_context`` that saves the tensors among the inputs and, beside them, the rest."""

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*(inputs[i] for i in positions))
        ctx.options = tuple(value for i, value in enumerate(inputs) if i not in positions)[:3]

    return setup_context


# Windows. Options: kernel_size, groups, scale_factor, dtype of the result.

@_operator
def reassemble(x: Tensor, weights: Tensor, kernel_size: int, groups: int, scale_factor: int,
               dtype: torch.dtype) -> Tensor:
    (n, c, h, w), s = x.shape, scale_factor
    _expect('x', x, n, c // groups * groups, h, w)
    _expect('kernels', weights, n, groups * (kernel_size * s)**2, h, w)
    out = _upsampled(x, s, dtype)
    blocks, tile = _tile(x, groups)
    _launch(kernels.reassemble, x, h * w * s * s, blocks,
            x, x.stride(), weights, weights.stride(), out, out.stride(), c // groups, h, w,
            K=kernel_size, S=s, **tile)
    return out


@reassemble.register_fake
def _(x, weights, kernel_size, groups, scale_factor, dtype):
    return _upsampled(x, scale_factor, dtype)


@_operator
def query_key(query: Tensor, x: Tensor, kernel_size: int, groups: int, scale_factor: int,
              dtype: torch.dtype) -> Tensor:
    (n, c, h, w), s = x.shape, scale_factor
    _expect('x', x, n, c // groups * groups, h, w)
    _expect('query', query, n, c, h * s, w * s)
    taps = kernel_size**2
    out = x.new_empty((n, groups * taps * s * s, h, w), dtype=dtype)
    block = min(32, triton.next_power_of_2(taps))
    _launch(kernels.query_key, x, h * w * s * s, groups * triton.cdiv(taps, block),
            query, query.stride(), x, x.stride(), out, out.stride(), c // groups, h, w,
            K=kernel_size, S=s, BLOCK_T=block, BLOCK_P=TILE // block)
    return out


@query_key.register_fake
def _(query, x, kernel_size, groups, scale_factor, dtype):
    return x.new_empty((len(x), groups * (kernel_size * scale_factor)**2, *x.shape[2:]),
                       dtype=dtype)


@_operator
def reassemble_adjoint(fine: Tensor, weights: Tensor, kernel_size: int, groups: int,
                       scale_factor: int, dtype: torch.dtype) -> Tensor:
    n, c = fine.shape[:2]
    (h, w), s = weights.shape[2:], scale_factor
    _expect('fine', fine, n, c // groups * groups, h * s, w * s)
    _expect('weights', weights, n, groups * (kernel_size * s)**2, h, w)
    out = _map(fine, c, h, w, dtype)
    blocks, tile = _tile(fine, groups)
    _launch(kernels.reassemble_adjoint, fine, h * w, blocks,
            fine, fine.stride(), weights, weights.stride(), out, out.stride(), c // groups, h, w,
            K=kernel_size, S=s, **tile)
    return out


@reassemble_adjoint.register_fake
def _(fine, weights, kernel_size, groups, scale_factor, dtype):
    return _map(fine, fine.shape[1], *weights.shape[2:], dtype)


def _reassemble_backward(ctx, grad):
    x, weights = ctx.saved_tensors
    need_x, need_weights, *_ = ctx.needs_input_grad
    return (reassemble_adjoint(grad, weights, *ctx.options, x.dtype) if need_x else None,
            query_key(grad, x, *ctx.options, weights.dtype) if need_weights else None,
            None, None, None, None)


def _query_key_backward(ctx, grad):
    query, x = ctx.saved_tensors
    need_query, need_x, *_ = ctx.needs_input_grad
    return (reassemble(x, grad, *ctx.options, query.dtype) if need_query else None,
            reassemble_adjoint(query, grad, *ctx.options, x.dtype) if need_x else None,
            None, None, None, None)


def _reassemble_adjoint_backward(ctx, grad):
    fine, weights = ctx.saved_tensors
    need_fine, need_weights, *_ = ctx.needs_input_grad
    return (reassemble(grad, weights, *ctx.options, fine.dtype) if need_fine else None,
            query_key(fine, grad, *ctx.options, weights.dtype) if need_weights else None,
            None, None, None, None)


reassemble.register_autograd(_reassemble_backward, setup_context=_keep(0, 1))
query_key.register_autograd(_query_key_backward, setup_context=_keep(0, 1))
reassemble_adjoint.register_autograd(_reassemble_adjoint_backward, setup_context=_keep(0, 1))


# Points. Options: groups, points of a group, scale_factor. Without weights: dynamic sampling.

@_operator
def attend(weights: Optional[Tensor], x: Tensor, offset: Tensor, groups: int, points: int,
           scale_factor: int, dtype: torch.dtype) -> Tensor:
    (c, h, w), s = x.shape[1:], scale_factor
    _expect_points(weights, x, offset, groups, points, s)
    out = _upsampled(x, s, dtype)
    given = out if weights is None else weights
    blocks, tile = _tile(x, groups)
    _launch(kernels.attend, x, h * w * s * s, blocks,
            given, given.stride(), x, x.stride(), offset, offset.stride(), out, out.stride(),
            c // groups, groups, h, w, POINTS=points, S=s, BORDER=weights is None, **tile)
    return out


@attend.register_fake
def _(weights, x, offset, groups, points, scale_factor, dtype):
    return _upsampled(x, scale_factor, dtype)


@_operator
def score(query: Tensor, x: Tensor, offset: Tensor, groups: int, points: int, scale_factor: int,
          dtype: torch.dtype) -> Tensor:
    (n, c, h, w), s = x.shape, scale_factor
    _expect('query', query, n, c, h * s, w * s)
    out = x.new_empty((n, groups * points, h * s, w * s), dtype=dtype)
    _expect_points(out, x, offset, groups, points, s)
    _launch(kernels.score, x, h * w * s * s, groups * points,
            query, query.stride(), x, x.stride(), offset, offset.stride(), out, out.stride(),
            c // groups, groups, h, w, POINTS=points, S=s, **_tile(x, groups)[1])
    return out


@score.register_fake
def _(query, x, offset, groups, points, scale_factor, dtype):
    return x.new_empty((len(x), groups * points, *query.shape[2:]), dtype=dtype)


@_operator
def spread(fine: Tensor, weights: Optional[Tensor], x: Tensor, offset: Tensor, groups: int,
           points: int, scale_factor: int, maps: bool, offsets: bool) -> Tuple[Tensor, Tensor]:
    """Gradients of x and of the offsets; one that is not wanted has no values."""
    (n, c, h, w), s = x.shape, scale_factor
    _expect('the gradient', fine, n, c, h * s, w * s)
    _expect_points(weights, x, offset, groups, points, s)
    dtype = torch.promote_types(x.dtype, torch.float32)
    fixed = maps and x.numel() > 0 and torch.are_deterministic_algorithms_enabled()
    x_grad = torch.zeros_like(x, dtype=torch.int64 if fixed else dtype) if maps else x.new_empty(0)
    offset_grad = torch.empty_like(offset) if offsets else offset.new_empty(0)
    given = fine if weights is None else weights
    scale = _fixed_point(fine, weights, points) if fixed else given
    _launch(kernels.spread, x, h * w * s * s, groups * points,
            fine, fine.stride(), given, given.stride(), x, x.stride(), offset, offset.stride(),
            x_grad, x.stride() if not maps else x_grad.stride(),
            offset_grad, offset.stride() if not offsets else offset_grad.stride(), scale,
            c // groups, groups, h, w, POINTS=points, S=s, BORDER=weights is None, FIXED=fixed,
            MAPS=maps, OFFSETS=offsets, **_tile(x, groups)[1])
    return (x_grad / scale if fixed else x_grad).to(x.dtype), offset_grad


@spread.register_fake
def _(fine, weights, x, offset, groups, points, scale_factor, maps, offsets):
    return (torch.empty_like(x) if maps else x.new_empty(0),
            torch.empty_like(offset) if offsets else offset.new_empty(0))


def _fixed_point(fine: Tensor, weights: Optional[Tensor], points: int) -> Tensor:
    """Integers per unit. All points may meet in one pixel; that sum has to stay below 2**63.

    Where a gradient is not finite, this is not a positive number, and no sum divided by it is one.
    """
    largest = fine.abs().amax().double()
    if weights is not None:
        largest = largest * weights.abs().amax().double()
    tiny = torch.finfo(torch.float64).tiny
    return 2.**62 / (largest.clamp(min=tiny) * (fine.shape[2] * fine.shape[3] * points))


def _expect_points(weights: Optional[Tensor], x: Tensor, offset: Tensor, groups: int, points: int,
                   s: int) -> None:
    n, c, h, w = x.shape
    _expect('the map', x, n, c // groups * groups, h, w)
    if weights is None:
        _expect('offset', offset, n, 2 * groups * s * s, h, w)
    else:
        _expect('offset', offset, n, 2 * groups * points, h * s, w * s)
        _expect('attention', weights, n, groups * points, h * s, w * s)


def _attend_by_reference(weights, x, offset, groups, points, scale_factor):
    if weights is None:
        return reference.sample_dynamic(x, offset, scale_factor, groups)
    return reference.deform_attend(weights.unflatten(1, (groups, points)), x, offset, scale_factor)


def _score_by_reference(query, x, offset, groups, points, scale_factor):
    return reference.deform_query_key(query, x, offset, groups, scale_factor).flatten(1, 2)


def _attend_backward(ctx, grad):
    if torch.is_grad_enabled():
        return _differentiable(ctx, _attend_by_reference, grad)
    weights, x, offset = ctx.saved_tensors
    weights_grad = (score(grad, x, offset, *ctx.options, weights.dtype)
                    if ctx.needs_input_grad[0] else None)
    return weights_grad, *_spread(ctx, grad, weights), *[None] * 4


def _score_backward(ctx, grad):
    if torch.is_grad_enabled():
        return _differentiable(ctx, _score_by_reference, grad)
    query, x, offset = ctx.saved_tensors
    query_grad = (attend(grad, x, offset, *ctx.options, query.dtype)
                  if ctx.needs_input_grad[0] else None)
    return query_grad, *_spread(ctx, query, grad), *[None] * 4


def _spread(ctx, fine, weights):
    _, x, offset = ctx.saved_tensors
    _, need_x, need_offset, *_ = ctx.needs_input_grad
    if not need_x and not need_offset:
        return None, None
    x_grad, offset_grad = spread(fine, weights, x, offset, *ctx.options, need_x, need_offset)
    return x_grad if need_x else None, offset_grad if need_offset else None


def _differentiable(ctx, function, grad):
    tensors = ctx.saved_tensors
    wanted = [tensor for tensor, need in zip(tensors, ctx.needs_input_grad) if need]
    out = function(*tensors, *ctx.options).to(grad.dtype)
    grads = iter(torch.autograd.grad(out, wanted, grad, create_graph=True))
    return tuple(next(grads) if need else None for need in ctx.needs_input_grad)


attend.register_autograd(_attend_backward, setup_context=_keep(0, 1, 2))
score.register_autograd(_score_backward, setup_context=_keep(0, 1, 2))


# The transposed convolution. Its gradients are PyTorch's own.

@_operator
def depthwise_transposed(x: Tensor, weight: Tensor, bias: Tensor, scale_factor: int) -> Tensor:
    (c, h, w), s, k = x.shape[1:], scale_factor, weight.shape[-1]
    _expect('weight', weight, c, 1, k, k)
    _expect('bias', bias, c)
    out = _upsampled(x, s, x.dtype)
    blocks, tile = _tile(x, 1)
    _launch(kernels.depthwise_transposed, x, h * w * s * s, blocks,
            x, x.stride(), weight, weight.stride(), bias.contiguous(), out, out.stride(), c, h, w,
            K=k, S=s, **tile)
    return out


@depthwise_transposed.register_fake
def _(x, weight, bias, scale_factor):
    return _upsampled(x, scale_factor, x.dtype)


def _keep_transposed(ctx, inputs, output):
    *tensors, ctx.scale_factor = inputs
    ctx.save_for_backward(*tensors[:2])


def _depthwise_transposed_backward(ctx, grad):
    x, weight = ctx.saved_tensors
    s, c = ctx.scale_factor, x.shape[1]
    padding = weight.shape[-1] // 2
    grads = torch.ops.aten.convolution_backward(
        grad, x, weight, [c], [s, s], [padding, padding], [1, 1], True, [s - 1, s - 1], c,
        ctx.needs_input_grad[:3])
    return *grads, None


depthwise_transposed.register_autograd(_depthwise_transposed_backward,
                                       setup_context=_keep_transposed)
