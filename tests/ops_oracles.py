"""Every operator that has backends, as a loop over output pixels, with the operator's arguments;
cases of arguments; and how near to the loop a result has to be."""
import math
from functools import cache

import torch
from torch.nn.functional import grid_sample

#: How far a result may be from the loop in float64, by the dtype of that result (or gradient):
#: sums in float32 at least and one rounding, on every backend.
TOLERANCES = {
    torch.float64: dict(rtol=1e-12, atol=1e-12),
    torch.float32: dict(rtol=1e-5, atol=1e-5),
    torch.float16: dict(rtol=2**-10, atol=1e-5),
    torch.bfloat16: dict(rtol=2**-7, atol=1e-5),
}
DTYPES = list(TOLERANCES)
#: PyTorch's own convolution keeps sums of halves in halves: this many steps of the format.
STEPS = {'depthwise_transposed': 16}


#: Operators that have second derivatives where PyTorch's grid_sample has.
OF_POINTS = ('sample_dynamic', 'deform_query_key', 'deform_attend')


@cache
def grid_sample_differentiates_twice():
    """PyTorch 2.11 does not."""
    x, grid = torch.ones(1, 1, 2, 2, requires_grad=True), torch.zeros(1, 1, 1, 2)
    slope, = torch.autograd.grad(grid_sample(x, grid, align_corners=False).square().sum(), x,
                                 create_graph=True)
    try:
        torch.autograd.grad(slope.sum(), x)
    except RuntimeError:
        return False
    return True


def fine_map(pixels, n, h, w):
    """(N, C, h, w) of vectors (C), row by row."""
    return torch.stack(pixels).reshape(n, h, w, -1).permute(0, 3, 1, 2)


def positions(n, h, w):
    return ((b, row, column) for b in range(n) for row in range(h) for column in range(w))


def taps(row, column, kernel_size, scale, h, w):
    """Number, row and column of those taps of a fine pixel's window that lie in the map."""
    for tap in range(kernel_size**2):
        i = row // scale + tap // kernel_size - kernel_size // 2
        j = column // scale + tap % kernel_size - kernel_size // 2
        if 0 <= i < h and 0 <= j < w:
            yield tap, i, j


def bilinear(x, row, column):
    """Value of x (C, h, w) at a point in pixel indices; corners outside count as zero."""
    _, h, w = x.shape
    top, left = math.floor(row.item()), math.floor(column.item())
    value = x.new_zeros(x.shape[0])
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < h and 0 <= j < w:
                value = value + x[:, i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return value


def sample_dynamic(x, offset, scale_factor=2, groups=1):
    (n, _, h, w), s = x.shape, scale_factor
    pixels = []
    for b, row, column in positions(n, h * s, w * s):
        i, j, inside = row // s, column // s, row % s * s + column % s
        values = []
        for g, block in enumerate(x[b].chunk(groups)):
            dx, dy = (offset[b, (k * groups + g) * s * s + inside, i, j] for k in (0, 1))
            values.append(bilinear(block, (i + dy).clamp(0, h - 1), (j + dx).clamp(0, w - 1)))
        pixels.append(torch.cat(values))
    return fine_map(pixels, n, h * s, w * s)


def reassemble(x, kernels, kernel_size, groups=1, scale_factor=2):
    (n, _, h, w), s = x.shape, scale_factor
    pixels = []
    for b, row, column in positions(n, h * s, w * s):
        values = []
        for g, block in enumerate(x[b].chunk(groups)):
            value = x.new_zeros(block.shape[0])
            for tap, i, j in taps(row, column, kernel_size, s, h, w):
                channel = (g * kernel_size**2 + tap) * s * s + row % s * s + column % s
                value = value + block[:, i, j] * kernels[b, channel, row // s, column // s]
            values.append(value)
        pixels.append(torch.cat(values))
    return fine_map(pixels, n, h * s, w * s)


def query_key(query, key, kernel_size, scale_factor=2):
    (n, _, h, w), s = key.shape, scale_factor
    out = [query.new_zeros(())] * (n * (kernel_size * s)**2 * h * w)
    for b, row, column in positions(n, h * s, w * s):
        for tap, i, j in taps(row, column, kernel_size, s, h, w):
            channel = tap * s * s + row % s * s + column % s
            place = ((b * (kernel_size * s)**2 + channel) * h + row // s) * w + column // s
            out[place] = (query[b, :, row, column] * key[b, :, i, j]).sum()
    return torch.stack(out).reshape(n, -1, h, w)


def sampled(x, offset, b, g, p, groups, points, row, column, scale):
    dx, dy = (offset[b, (g * points + p) * 2 + k, row, column] for k in (0, 1))
    return bilinear(x[b].chunk(groups)[g], row // scale + dy, column // scale + dx)


def deform_query_key(query, key, offset, groups, scale_factor=2):
    n, _, h, w = query.shape
    points = offset.shape[1] // (2 * groups)
    logits = []
    for b, row, column in positions(n, h, w):
        logits.append(torch.stack([
            query[b, :, row, column].chunk(groups)[g]
            @ sampled(key, offset, b, g, p, groups, points, row, column, scale_factor)
            for g in range(groups) for p in range(points)]))
    return fine_map(logits, n, h, w).unflatten(1, (groups, points))


def deform_attend(attention, value, offset, scale_factor=2):
    n, groups, points, h, w = attention.shape
    pixels = []
    for b, row, column in positions(n, h, w):
        pixels.append(torch.cat([
            sum(attention[b, g, p, row, column]
                * sampled(value, offset, b, g, p, groups, points, row, column, scale_factor)
                for p in range(points)) for g in range(groups)]))
    return fine_map(pixels, n, h, w)


def depthwise_transposed(x, weight, bias, scale_factor=2):
    (n, _, h, w), k, s = x.shape, weight.shape[-1], scale_factor
    pixels = []
    for b, row, column in positions(n, h * s, w * s):
        value = bias
        for i in range(h):
            for j in range(w):
                y, z = row - s * i + k // 2, column - s * j + k // 2
                if 0 <= y < k and 0 <= z < k:
                    value = value + x[b, :, i, j] * weight[:, 0, y, z]
        pixels.append(value)
    return fine_map(pixels, n, h * s, w * s)


def points(*shape):
    """Offsets of up to three pixels; none ends on a line of centres, where gradients jump."""
    return torch.randint(-3, 3, shape) + 0.1 + 0.8 * torch.rand(shape, dtype=torch.float64)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


#: Name -> operator and a function that draws its arguments.
CASES = {
    'sample': ('sample_dynamic', lambda: (normal(2, 4, 3, 4), points(2, 16, 3, 4), 2, 2)),
    'sample-x3': ('sample_dynamic', lambda: (normal(1, 3, 3, 1), points(1, 18, 3, 1), 3, 1)),
    'sample-x1': ('sample_dynamic', lambda: (normal(1, 4, 5, 3), points(1, 8, 5, 3), 1, 4)),
    'reassemble': ('reassemble', lambda: (normal(2, 4, 3, 4), normal(2, 100, 3, 4), 5, 1, 2)),
    'reassemble-x3': ('reassemble', lambda: (normal(1, 6, 2, 3), normal(1, 162, 2, 3), 3, 2, 3)),
    'reassemble-x1': ('reassemble', lambda: (normal(1, 4, 1, 5), normal(1, 4, 1, 5), 1, 4, 1)),
    'query-key': ('query_key', lambda: (normal(2, 4, 6, 8), normal(2, 4, 3, 4), 3, 2)),
    'query-key-x3': ('query_key', lambda: (normal(1, 3, 6, 9), normal(1, 3, 2, 3), 5, 3)),
    'deform-query-key': ('deform_query_key', lambda: (
        normal(1, 4, 6, 8), normal(1, 4, 3, 4), points(1, 12, 6, 8), 2, 2)),
    'deform-query-key-x3': ('deform_query_key', lambda: (
        normal(2, 3, 6, 3), normal(2, 3, 2, 1), points(2, 2, 6, 3), 1, 3)),
    'deform-attend': ('deform_attend', lambda: (
        normal(1, 2, 3, 6, 8), normal(1, 4, 3, 4), points(1, 12, 6, 8), 2)),
    'deform-attend-x3': ('deform_attend', lambda: (
        normal(2, 1, 1, 6, 3), normal(2, 3, 2, 1), points(2, 2, 6, 3), 3)),
    'transposed': ('depthwise_transposed', lambda: (
        normal(2, 4, 3, 4), normal(4, 1, 7, 7), normal(4), 2)),
    'transposed-x3': ('depthwise_transposed', lambda: (
        normal(1, 3, 4, 1), normal(3, 1, 3, 3), normal(3), 3)),
    'transposed-x4': ('depthwise_transposed', lambda: (
        normal(1, 2, 2, 3), normal(2, 1, 11, 11), normal(2), 4)),
}


def tensors(args):
    return [arg for arg in args if isinstance(arg, torch.Tensor)]


@cache
def solved(case, dtype):
    """Operator, arguments in float64, upstream gradient, result and gradients by the loop.

    The arguments are numbers that ``dtype`` has: for halves, those of bfloat16 that float16 has.
    """
    coarse = torch.float32 if dtype in (torch.float32, torch.float64) else torch.bfloat16
    operator, draw = CASES[case]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        args = [arg.to(coarse).double() if isinstance(arg, torch.Tensor) else arg
                for arg in draw()]
        variables = [arg.requires_grad_() for arg in tensors(args)]
        out = globals()[operator](*args)
        upstream = torch.randn_like(out).to(coarse).double()
    gradients = torch.autograd.grad(out, variables, upstream)
    args = [arg.detach() if isinstance(arg, torch.Tensor) else arg for arg in args]
    return operator, args, upstream, out.detach(), gradients


def check(operator, got, expected):
    """Compare a result, or a gradient, with the loop's."""
    tolerance = dict(TOLERANCES[got.dtype])
    if got.dtype.itemsize < 4:
        tolerance['atol'] += STEPS.get(operator, 0) * torch.finfo(got.dtype).eps
    torch.testing.assert_close(got.detach().cpu().double(), expected, **tolerance)
