"""The kernels: three over windows, three over moving points, one transposed convolution.

Windows: with q and out at fine pixels, x at coarse ones and a weight k for each fine pixel and
tap, the sum of ``q * k * x`` over channels, pixels and taps is linear in each. ``reassemble`` is
its gradient in q, ``query_key`` the one in k, ``reassemble_adjoint`` the one in x. So each of the
three has the other two for its gradients, to any order. All three gather: every value is
computed by one thread, in one order.

Points: the same with ``q * a * value of x at a moving point``: ``attend`` is the gradient in q,
``score`` the one in a; ``spread`` has those in x and in the point. Dynamic sampling is ``attend``
with one point of weight one that is clamped to the map (``BORDER``); otherwise what lies outside
counts as zero. ``spread`` scatters into x: threads meet in one pixel, so it adds by atomic
operations, and in no fixed order. With ``FIXED`` it adds integers, whose sum has no order.

A program computes a tile of ``BLOCK_C`` channels of one group x ``BLOCK_P`` pixels of one image;
the first axis of its grid counts images and pixels, the second groups and channels (or points, or
taps). Tensors come with their strides, in four dimensions. ``ACC`` is the dtype of sums and of
coordinates. ``S`` is the scale, ``K`` the window size; h and w are the coarse sizes.
"""
import triton
import triton.language as tl


@triton.jit
def _at(tensor, strides, image, channel, row, column):
    """Addresses, in 64 bits, as large maps need; channels last, where all else is one row."""
    return (tensor + image.to(tl.int64) * strides[0] + row.to(tl.int64) * strides[2]
            + column.to(tl.int64) * strides[3] + channel.to(tl.int64) * strides[1])


@triton.jit
def _pixels(height, width, BLOCK: tl.constexpr):
    """The program's image, its rows and columns, and which of these there are."""
    blocks = tl.cdiv(height * width, BLOCK)
    image = tl.program_id(0) // blocks
    pixel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)[None, :]
    return image, pixel // width, pixel % width, pixel < height * width


@triton.jit
def _channels(channels, BLOCK: tl.constexpr):
    """The program's group, its channels, and which of these there are."""
    blocks = tl.cdiv(channels, BLOCK)
    group = tl.program_id(1) // blocks
    channel = tl.program_id(1) % blocks * BLOCK + tl.arange(0, BLOCK)[:, None]
    return group, group * channels + channel, channel < channels


@triton.jit
def _weight_channel(group, tap, row, column, K: tl.constexpr, S: tl.constexpr):
    """Where the weight of a tap of a fine pixel lies at the coarse size."""
    return ((group * K * K + tap) * S + row % S) * S + column % S


@triton.jit
def _load_inside(x, strides, image, channel, row, column, h, w, mask, ACC: tl.constexpr):
    """Values of a map, zero outside."""
    inside = mask & (row >= 0) & (row < h) & (column >= 0) & (column < w)
    return tl.load(_at(x, strides, image, channel, row, column), inside, 0.).to(ACC)


@triton.jit
def reassemble(x, x_strides, weights, weight_strides, out, out_strides, channels, h, w,
               K: tl.constexpr, S: tl.constexpr, ACC: tl.constexpr,
               BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    group, channel, exists = _channels(channels, BLOCK_C)
    total = tl.zeros((BLOCK_C, BLOCK_P), ACC)
    for tap in range(K * K):
        weight = tl.load(_at(weights, weight_strides, image,
                             _weight_channel(group, tap, row, column, K, S), row // S,
                             column // S), there, 0.).to(ACC)
        total += weight * _load_inside(x, x_strides, image, channel, row // S + tap // K - K // 2,
                                       column // S + tap % K - K // 2, h, w, there & exists, ACC)
    tl.store(_at(out, out_strides, image, channel, row, column), total, there & exists)


@triton.jit
def query_key(query, query_strides, x, x_strides, out, out_strides, channels, h, w,
              K: tl.constexpr, S: tl.constexpr, ACC: tl.constexpr,
              BLOCK_T: tl.constexpr, BLOCK_P: tl.constexpr):
    """A tile has taps in place of channels: each query is loaded once for all of them."""
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    group, _, exists = _channels(K * K, BLOCK_T)
    tap = tl.program_id(1) % tl.cdiv(K * K, BLOCK_T) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    total = tl.zeros((BLOCK_T, BLOCK_P), ACC)
    for c in range(channels):
        channel = group * channels + c
        q = tl.load(_at(query, query_strides, image, channel, row, column), there, 0.).to(ACC)
        total += q * _load_inside(x, x_strides, image, channel, row // S + tap // K - K // 2,
                                  column // S + tap % K - K // 2, h, w, there & exists, ACC)
    tl.store(_at(out, out_strides, image, _weight_channel(group, tap, row, column, K, S),
                 row // S, column // S), total, there & exists)


@triton.jit
def reassemble_adjoint(fine, fine_strides, weights, weight_strides, out, out_strides,
                       channels, h, w, K: tl.constexpr, S: tl.constexpr, ACC: tl.constexpr,
                       BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    """Each coarse pixel collects what the windows around it took: no two threads share a sum."""
    image, row, column, there = _pixels(h, w, BLOCK_P)
    group, channel, exists = _channels(channels, BLOCK_C)
    total = tl.zeros((BLOCK_C, BLOCK_P), ACC)
    for step in range(K * K * S * S):
        tap = step // (S * S)
        i = row - tap // K + K // 2  # the centre of the window that has its tap here
        j = column - tap % K + K // 2
        fine_row = i * S + step // S % S
        fine_column = j * S + step % S
        weight = _load_inside(weights, weight_strides, image, group * K * K * S * S + step, i, j,
                              h, w, there, ACC)
        total += weight * _load_inside(fine, fine_strides, image, channel, fine_row, fine_column,
                                       h * S, w * S, there & exists, ACC)
    tl.store(_at(out, out_strides, image, channel, row, column), total, there & exists)


@triton.jit
def _axis(position, size, BORDER: tl.constexpr):
    """The pixel at or before a position, how far beyond it the position is, and whether the
    position lies between the first pixel and the last.

    For what is far outside, NaN and infinity too, the pixel is -2, which no map has.
    """
    between = (position > 0) & (position < size - 1)
    if BORDER:
        position = tl.where(position > 0, position, 0.)  # of NaN, too
        position = tl.where(position < size - 1, position, size - 1.)
    before = tl.floor(position)
    near = (position > -1) & (position < size)
    return tl.where(near, before, -2.).to(tl.int32), position - before, between


@triton.jit
def _point(offset, strides, image, group, point, row, column, mask, groups, h, w,
           POINTS: tl.constexpr, S: tl.constexpr, BORDER: tl.constexpr, ACC: tl.constexpr):
    """Row and column of a fine pixel's point in the coarse map, each as ``_axis`` gives them."""
    i = row // S
    j = column // S
    if BORDER:  # the offsets of a cell's fine pixels are channels, x before y
        channel = (group * S + row % S) * S + column % S
        x = tl.load(_at(offset, strides, image, channel, i, j), mask, 0.)
        y = tl.load(_at(offset, strides, image, channel + groups * S * S, i, j), mask, 0.)
    else:
        channel = (group * POINTS + point) * 2
        x = tl.load(_at(offset, strides, image, channel, row, column), mask, 0.)
        y = tl.load(_at(offset, strides, image, channel + 1, row, column), mask, 0.)
    top, v, between_y = _axis(i.to(ACC) + y.to(ACC), h, BORDER)
    left, u, between_x = _axis(j.to(ACC) + x.to(ACC), w, BORDER)
    return top, v, between_y, left, u, between_x


@triton.jit
def _corners(x, strides, image, channel, top, left, h, w, mask, ACC: tl.constexpr):
    a = _load_inside(x, strides, image, channel, top, left, h, w, mask, ACC)
    b = _load_inside(x, strides, image, channel, top, left + 1, h, w, mask, ACC)
    c = _load_inside(x, strides, image, channel, top + 1, left, h, w, mask, ACC)
    d = _load_inside(x, strides, image, channel, top + 1, left + 1, h, w, mask, ACC)
    return a, b, c, d


@triton.jit
def _bilinear(x, strides, image, channel, top, v, left, u, h, w, mask, ACC: tl.constexpr):
    a, b, c, d = _corners(x, strides, image, channel, top, left, h, w, mask, ACC)
    return (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)


@triton.jit
def attend(weights, weight_strides, x, x_strides, offset, offset_strides, out, out_strides,
           channels, groups, h, w, POINTS: tl.constexpr, S: tl.constexpr, BORDER: tl.constexpr,
           ACC: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    group, channel, exists = _channels(channels, BLOCK_C)
    total = tl.zeros((BLOCK_C, BLOCK_P), ACC)
    for point in range(POINTS):
        top, v, _, left, u, _ = _point(offset, offset_strides, image, group, point, row, column,
                                       there, groups, h, w, POINTS, S, BORDER, ACC)
        value = _bilinear(x, x_strides, image, channel, top, v, left, u, h, w, there & exists, ACC)
        if not BORDER:
            value *= tl.load(_at(weights, weight_strides, image, group * POINTS + point, row,
                                 column), there, 0.).to(ACC)
        total += value
    tl.store(_at(out, out_strides, image, channel, row, column), total, there & exists)


@triton.jit
def score(query, query_strides, x, x_strides, offset, offset_strides, out, out_strides,
          channels, groups, h, w, POINTS: tl.constexpr, S: tl.constexpr,
          ACC: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    group = tl.program_id(1) // POINTS
    top, v, _, left, u, _ = _point(offset, offset_strides, image, group,
                                   tl.program_id(1) % POINTS, row, column, there, groups, h, w,
                                   POINTS, S, False, ACC)
    total = tl.zeros((1, BLOCK_P), ACC)
    for start in range(0, channels, BLOCK_C):
        in_group = start + tl.arange(0, BLOCK_C)[:, None]
        mask = there & (in_group < channels)
        channel = group * channels + in_group
        q = tl.load(_at(query, query_strides, image, channel, row, column), mask, 0.).to(ACC)
        value = _bilinear(x, x_strides, image, channel, top, v, left, u, h, w, mask, ACC)
        total += tl.sum(q * value, 0, keep_dims=True)
    tl.store(_at(out, out_strides, image, tl.program_id(1), row, column), total, there)


@triton.jit
def _add_inside(x, strides, image, channel, row, column, value, h, w, mask, scale,
                FIXED: tl.constexpr):
    inside = mask & (row >= 0) & (row < h) & (column >= 0) & (column < w)
    if FIXED:
        value = (value.to(tl.float64) * scale).to(tl.int64)
    tl.atomic_add(_at(x, strides, image, channel, row, column), value, inside, sem='relaxed')


@triton.jit
def spread(fine, fine_strides, weights, weight_strides, x, x_strides, offset, offset_strides,
           x_grad, x_grad_strides, offset_grad, offset_grad_strides, scale,
           channels, groups, h, w, POINTS: tl.constexpr, S: tl.constexpr, BORDER: tl.constexpr,
           FIXED: tl.constexpr, MAPS: tl.constexpr, OFFSETS: tl.constexpr, ACC: tl.constexpr,
           BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    group = tl.program_id(1) // POINTS
    point = tl.program_id(1) % POINTS
    top, v, between_y, left, u, between_x = _point(offset, offset_strides, image, group, point, row,
                                             column, there, groups, h, w, POINTS, S, BORDER, ACC)
    weight = tl.full((1, BLOCK_P), 1, ACC)
    if not BORDER:
        weight = tl.load(_at(weights, weight_strides, image, tl.program_id(1), row, column),
                         there, 0.).to(ACC)
    factor = tl.load(scale) if FIXED else 1.
    slope_x = tl.zeros((1, BLOCK_P), ACC)
    slope_y = tl.zeros((1, BLOCK_P), ACC)
    for start in range(0, channels, BLOCK_C):
        in_group = start + tl.arange(0, BLOCK_C)[:, None]
        mask = there & (in_group < channels)
        channel = group * channels + in_group
        g = weight * tl.load(_at(fine, fine_strides, image, channel, row, column), mask,
                             0.).to(ACC)
        if OFFSETS:
            a, b, c, d = _corners(x, x_strides, image, channel, top, left, h, w, mask, ACC)
            slope_x += tl.sum(g * ((1 - v) * (b - a) + v * (d - c)), 0, keep_dims=True)
            slope_y += tl.sum(g * ((1 - u) * (c - a) + u * (d - b)), 0, keep_dims=True)
        if MAPS:
            _add_inside(x_grad, x_grad_strides, image, channel, top, left,
                        g * ((1 - v) * (1 - u)), h, w, mask, factor, FIXED)
            _add_inside(x_grad, x_grad_strides, image, channel, top, left + 1,
                        g * ((1 - v) * u), h, w, mask, factor, FIXED)
            _add_inside(x_grad, x_grad_strides, image, channel, top + 1, left,
                        g * (v * (1 - u)), h, w, mask, factor, FIXED)
            _add_inside(x_grad, x_grad_strides, image, channel, top + 1, left + 1,
                        g * (v * u), h, w, mask, factor, FIXED)
    if OFFSETS:
        if BORDER:
            slope_x = tl.where(between_x, slope_x, 0.)  # a point that is clamped stays there
            slope_y = tl.where(between_y, slope_y, 0.)
            to = (group * S + row % S) * S + column % S
            tl.store(_at(offset_grad, offset_grad_strides, image, to, row // S, column // S),
                     slope_x, there)
            tl.store(_at(offset_grad, offset_grad_strides, image, to + groups * S * S, row // S,
                         column // S), slope_y, there)
        else:
            to = (group * POINTS + point) * 2
            tl.store(_at(offset_grad, offset_grad_strides, image, to, row, column), slope_x,
                     there)
            tl.store(_at(offset_grad, offset_grad_strides, image, to + 1, row, column), slope_y,
                     there)


@triton.jit
def depthwise_transposed(x, x_strides, weight, weight_strides, bias, out, out_strides,
                         channels, h, w, K: tl.constexpr, S: tl.constexpr, ACC: tl.constexpr,
                         BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    """Of a K x K kernel, a fine pixel meets every S-th row and column: those that lie on pixels."""
    image, row, column, there = _pixels(h * S, w * S, BLOCK_P)
    _, channel, exists = _channels(channels, BLOCK_C)
    total = tl.load(bias + channel, exists, 0.).to(ACC) + tl.zeros((BLOCK_C, BLOCK_P), ACC)
    taps: tl.constexpr = (K + S - 1) // S
    for tap in range(taps * taps):
        tap_row = (row + K // 2) % S + tap // taps * S
        tap_column = (column + K // 2) % S + tap % taps * S
        factor = _load_inside(weight, weight_strides, channel, tl.zeros_like(channel), tap_row,
                              tap_column, K, K, there & exists, ACC)
        total += factor * _load_inside(x, x_strides, image, channel,
                                       (row + K // 2) // S - tap // taps,
                                       (column + K // 2) // S - tap % taps, h, w,
                                       there & exists & (tap_row < K) & (tap_column < K), ACC)
    tl.store(_at(out, out_strides, image, channel, row, column), total, there & exists)
