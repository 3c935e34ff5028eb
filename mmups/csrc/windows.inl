// Windows of K x K coarse pixels around each coarse pixel, shared by its s x s fine pixels.
//
// A vector holds neighbouring columns. What a strip of columns needs of weights, queries and
// borders is laid out in the scratch first, so that the loops over channels see whole vectors.

// Rows of a window that lie on the map.
struct TapRows {
  int64_t first, end;
};
inline TapRows tap_rows(int64_t row, const Sizes& z) {
  const int64_t radius = z.kernel / 2;
  return {most(0, radius - row), least(z.kernel, z.h + radius - row)};
}

// The columns `start`, start + 1 ... of a row, zero outside.
template <class A>
inline void copy_columns(A* to, const A* row, int64_t start, int64_t count, int64_t width) {
  for (int64_t t = 0; t < count; ++t) {
    const int64_t column = start + t;
    to[t] = column >= 0 && column < width ? row[column] : A(0);
  }
}

// A few channels of a coarse map around a strip: in place, or copied where the border is near.
template <class A>
struct Strip {
  const A* data;
  int64_t channel, row;  // strides
};
template <class A>
inline Strip<A> strip_of(const A* x, int64_t channels, int64_t row, int64_t column, TapRows taps,
                         const Sizes& z, A* buffer) {
  const int64_t radius = z.kernel / 2, count = Lanes<A>::count + 2 * radius;
  if (column >= radius && column - radius + count <= z.w)
    return {x + (row - radius) * z.w + column - radius, z.h * z.w, z.w};
  for (int64_t q = 0; q < channels; ++q)
    for (int64_t dy = taps.first; dy < taps.end; ++dy)
      copy_columns(buffer + (q * z.kernel + dy) * count, x + (q * z.h + row + dy - radius) * z.w,
                   column - radius, count, z.w);
  return {buffer, z.kernel * count, count};
}

template <class A, int Channels, int Phases>
inline void weigh(Strip<A> x, TapRows taps, int64_t kernel, const A* weights, int64_t phases,
                  A* tile) {
  constexpr int V = Lanes<A>::count;
  Vector<A> sums[Channels][Phases] = {};
  for (int64_t dy = taps.first; dy < taps.end; ++dy)
    for (int64_t dx = 0; dx < kernel; ++dx) {
      const A* w = weights + (dy * kernel + dx) * phases * V;
      Vector<A> values[Channels];
      for (int q = 0; q < Channels; ++q) values[q] = load(x.data + q * x.channel + dy * x.row + dx);
      for (int p = 0; p < Phases; ++p) {
        const Vector<A> weight = load(w + p * V);
        for (int q = 0; q < Channels; ++q) sums[q][p] += weight * values[q];
      }
    }
  for (int q = 0; q < Channels; ++q)
    for (int p = 0; p < Phases; ++p) store(tile + (q * phases + p) * V, sums[q][p]);
}

template <class A, int Channels>
inline void weigh_phases(Strip<A> x, TapRows taps, int64_t kernel, const A* weights,
                         int64_t phases, A* tile) {
  constexpr int V = Lanes<A>::count;
  int64_t p = 0;
  for (; p + 4 <= phases; p += 4)
    weigh<A, Channels, 4>(x, taps, kernel, weights + p * V, phases, tile + p * V);
  for (; p < phases; ++p)
    weigh<A, Channels, 1>(x, taps, kernel, weights + p * V, phases, tile + p * V);
}

// One channel's phases of a strip, (s*s, V), to the fine rows of the output.
template <class A, class T>
inline void spread(const A* tile, T* out, const Output& strides, int64_t columns, int64_t s) {
  constexpr int V = Lanes<A>::count;
  for (int64_t a = 0; a < s; ++a) {
    const A* phases = tile + a * s * V;
    T* to = out + a * strides.h;
    if (s == 2 && strides.w == 1 && columns == V)
      for (int64_t j = 0; j < V; ++j) {
        put(to + 2 * j, phases[j]);
        put(to + 2 * j + 1, phases[V + j]);
      }
    else
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t b = 0; b < s; ++b) put(to + (j * s + b) * strides.w, phases[b * V + j]);
  }
}

template <class A>
inline int64_t reassemble_scratch(const Sizes& z) {
  constexpr int64_t V = Lanes<A>::count;
  const int64_t phases = z.scale * z.scale, taps = z.kernel * z.kernel;
  return (z.w + V - 1) / V * phases * taps * V + 3 * (z.kernel * (V + z.kernel) + phases * V);
}

template <class A, class T>
inline void reassemble_to(const A* x, const A* weights, T* out, const Output& strides,
                          const Sizes& z, int64_t begin, int64_t end, A* scratch) {
  constexpr int V = Lanes<A>::count;
  const int64_t s = z.scale, phases = s * s, taps = z.kernel * z.kernel, depth = z.c / z.groups;
  const int64_t strip_size = taps * phases * V;
  A* row_weights = scratch;  // strip by strip
  A* border = row_weights + (z.w + V - 1) / V * strip_size;
  A* tile = border + 3 * z.kernel * (V + z.kernel);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / z.h, i = unit % z.h;
    const TapRows rows = tap_rows(i, z);
    for (int64_t g = 0; g < z.groups; ++g) {
      const A* w = weights + ((image * z.groups + g) * taps * phases * z.h + i) * z.w;
      for (int64_t t = 0; t < taps * phases; ++t)
        for (int64_t j = 0; j < z.w; j += V)
          copy_columns(row_weights + j / V * strip_size + t * V, w + t * z.h * z.w, j, V, z.w);
      // Whole rows of a few channels: memory is read and written in its order.
      for (int64_t q = g * depth; q < (g + 1) * depth;) {
        const int64_t count = (g + 1) * depth - q >= 3 ? 3 : 1;
        const A* from = x + (image * z.c + q) * z.h * z.w;
        T* to = out + image * strides.n + q * strides.c + i * s * strides.h;
        for (int64_t j = 0; j < z.w; j += V) {
          const auto strip = strip_of(from, count, i, j, rows, z, border);
          const A* strip_weights = row_weights + j / V * strip_size;
          if (count == 3)
            weigh_phases<A, 3>(strip, rows, z.kernel, strip_weights, phases, tile);
          else
            weigh_phases<A, 1>(strip, rows, z.kernel, strip_weights, phases, tile);
          for (int64_t k = 0; k < count; ++k)
            spread(tile + k * phases * V, to + k * strides.c + j * s * strides.w, strides,
                   least(V, z.w - j), s);
        }
        q += count;
      }
    }
  }
}

template <class A>
inline void reassemble(const A* x, const A* weights, const Output& out, const Sizes& z,
                       int64_t begin, int64_t end, A* scratch) {
  with_storage(out, A(), [&](auto* data) {
    reassemble_to(x, weights, data, out, z, begin, end, scratch);
  });
}

// Sums over channels of the phases of a fine strip, (C, phases, V), with shifted coarse strips.
template <class A, int Taps, int Phases>
inline void compare(Strip<A> key, int64_t channels, const A* fine, int64_t phases, A* out,
                    int64_t tap_stride, int64_t phase_stride, int64_t columns) {
  constexpr int V = Lanes<A>::count;
  Vector<A> sums[Taps][Phases] = {};
  for (int64_t q = 0; q < channels; ++q) {
    Vector<A> keys[Taps];
    for (int t = 0; t < Taps; ++t) keys[t] = load(key.data + q * key.channel + t);
    for (int p = 0; p < Phases; ++p) {
      const Vector<A> query = load(fine + (q * phases + p) * V);
      for (int t = 0; t < Taps; ++t) sums[t][p] += query * keys[t];
    }
  }
  for (int t = 0; t < Taps; ++t)
    for (int p = 0; p < Phases; ++p) {
      A* to = out + t * tap_stride + p * phase_stride;
      if (columns == V)
        store(to, sums[t][p]);
      else
        for (int64_t j = 0; j < columns; ++j) to[j] = sums[t][p][j];
    }
}

template <class A, int Taps>
inline void compare_phases(Strip<A> key, int64_t channels, const A* fine, int64_t phases, A* out,
                           int64_t phase_stride, int64_t columns) {
  constexpr int V = Lanes<A>::count;
  int64_t p = 0;
  for (; p + 4 <= phases; p += 4)
    compare<A, Taps, 4>(key, channels, fine + p * V, phases, out + p * phase_stride,
                        phases * phase_stride, phase_stride, columns);
  for (; p < phases; ++p)
    compare<A, Taps, 1>(key, channels, fine + p * V, phases, out + p * phase_stride,
                        phases * phase_stride, phase_stride, columns);
}

template <class A>
inline int64_t query_key_scratch(const Sizes& z) {
  constexpr int64_t V = Lanes<A>::count;
  return z.c / z.groups * (z.scale * z.scale * V + z.kernel * (V + z.kernel));
}

template <class A>
inline void query_key(const A* query, const A* key, A* logits, const Sizes& z, int64_t begin,
                      int64_t end, A* scratch) {
  constexpr int V = Lanes<A>::count;
  const int64_t s = z.scale, phases = s * s, taps = z.kernel * z.kernel, depth = z.c / z.groups;
  const int64_t plane = z.h * z.w;
  A* fine = scratch;
  A* border = fine + depth * phases * V;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / z.h, i = unit % z.h;
    const TapRows rows = tap_rows(i, z);
    for (int64_t g = 0; g < z.groups; ++g)
      for (int64_t j = 0; j < z.w; j += V) {
        const int64_t columns = least(V, z.w - j);
        const int64_t first = image * z.c + g * depth;
        for (int64_t q = 0; q < depth; ++q)
          for (int64_t a = 0; a < s; ++a) {
            const A* row = query + (((first + q) * z.h + i) * s + a) * z.w * s + j * s;
            for (int64_t b = 0; b < s; ++b) {
              A* to = fine + ((q * s + a) * s + b) * V;
              for (int64_t t = 0; t < V; ++t) to[t] = t < columns ? row[t * s + b] : A(0);
            }
          }
        const auto strip = strip_of(key + first * plane, depth, i, j, rows, z, border);
        A* out = logits + (image * z.groups + g) * taps * phases * plane + i * z.w + j;
        for (int64_t dy = 0; dy < z.kernel; ++dy) {
          A* to = out + dy * z.kernel * phases * plane;
          if (dy < rows.first || dy >= rows.end) {
            for (int64_t t = 0; t < z.kernel * phases; ++t)
              for (int64_t k = 0; k < columns; ++k) to[t * plane + k] = 0;
            continue;
          }
          for (int64_t dx = 0; dx < z.kernel;) {
            const Strip<A> shifted{strip.data + dy * strip.row + dx, strip.channel, strip.row};
            A* shifted_to = to + dx * phases * plane;
            const int64_t left = z.kernel - dx;
            if (left >= 3)
              compare_phases<A, 3>(shifted, depth, fine, phases, shifted_to, plane, columns);
            else if (left == 2)
              compare_phases<A, 2>(shifted, depth, fine, phases, shifted_to, plane, columns);
            else
              compare_phases<A, 1>(shifted, depth, fine, phases, shifted_to, plane, columns);
            dx += least(left, 3);
          }
        }
      }
  }
}

// The adjoint gathers: coarse pixel (i, j) is tap (dy, dx) of the window around
// (i - dy + radius, j - dx + radius). Fine rows are split into phases once, in a ring of K rows.
constexpr int64_t adjoint_channels = 16;

inline int64_t adjoint_blocks(const Sizes& z) {
  return (z.c / z.groups + adjoint_channels - 1) / adjoint_channels;
}
inline int64_t reassemble_adjoint_units(const Sizes& z) {
  return z.n * z.groups * adjoint_blocks(z);
}
template <class A>
inline int64_t padded_width(const Sizes& z) {
  return z.w + 2 * z.kernel + Lanes<A>::count;
}
template <class A>
inline int64_t reassemble_adjoint_scratch(const Sizes& z) {
  const int64_t phases = z.scale * z.scale;
  return phases * z.kernel * (adjoint_channels * padded_width<A>(z) + z.kernel * Lanes<A>::count);
}

// A ring of kernel rows, each (channels, phases, padded columns).
template <class A>
struct Ring {
  const A* data;
  int64_t kernel, row, channel, phase;  // strides
  const A* at(int64_t index) const { return data + index % kernel * row; }
};

template <class A, int Channels>
inline void gather(Ring<A> ring, int64_t last_row, int64_t column, const A* weights, TapRows taps,
                   int64_t phases, A* out, int64_t plane, int64_t columns) {
  constexpr int V = Lanes<A>::count;
  Vector<A> sums[Channels] = {};
  for (int64_t dy = taps.first; dy < taps.end; ++dy)
    for (int64_t dx = 0; dx < ring.kernel; ++dx)
      for (int64_t p = 0; p < phases; ++p) {
        const Vector<A> weight = load(weights + ((dy * ring.kernel + dx) * phases + p) * V);
        const A* fine = ring.at(last_row - dy) + p * ring.phase + column + ring.kernel - 1 - dx;
        for (int q = 0; q < Channels; ++q) sums[q] += weight * load(fine + q * ring.channel);
      }
  for (int q = 0; q < Channels; ++q)
    if (columns == V)
      store(out + q * plane, sums[q]);
    else
      for (int64_t j = 0; j < columns; ++j) out[q * plane + j] = sums[q][j];
}

template <class A>
inline void reassemble_adjoint(const A* fine, const A* weights, A* out, const Sizes& z,
                               int64_t begin, int64_t end, A* scratch) {
  constexpr int V = Lanes<A>::count;
  const int64_t s = z.scale, phases = s * s, kernel = z.kernel, radius = kernel / 2;
  const int64_t depth = z.c / z.groups, plane = z.h * z.w, width = padded_width<A>(z);
  const Ring<A> ring{scratch, kernel, adjoint_channels * phases * width, phases * width, width};
  A* strip_weights = scratch + kernel * ring.row;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit / adjoint_blocks(z), block = unit % adjoint_blocks(z);
    const int64_t channels = least(adjoint_channels, depth - block * adjoint_channels);
    const int64_t first = group * depth + block * adjoint_channels;
    const A* w = weights + group * kernel * kernel * phases * plane;
    int64_t ready = 0;  // fine rows that the ring has held
    for (int64_t i = 0; i < z.h; ++i) {
      for (; ready < least(z.h, i + radius + 1); ++ready)
        for (int64_t q = 0; q < channels; ++q)
          for (int64_t p = 0; p < phases; ++p) {
            A* to = scratch + ready % kernel * ring.row + q * ring.channel + p * ring.phase;
            const A* from = fine + (((first + q) * z.h + ready) * s + p / s) * z.w * s + p % s;
            for (int64_t t = 0; t < radius; ++t) to[t] = 0;
            for (int64_t t = 0; t < z.w; ++t) to[radius + t] = from[t * s];
            for (int64_t t = radius + z.w; t < width; ++t) to[t] = 0;
          }
      // Tap row dy comes from the window around row i - dy + radius.
      const TapRows taps{most(0, i + radius - z.h + 1), least(kernel, i + radius + 1)};
      for (int64_t j = 0; j < z.w; j += V) {
        const int64_t columns = least(V, z.w - j);
        for (int64_t dy = taps.first; dy < taps.end; ++dy)
          for (int64_t dx = 0; dx < kernel; ++dx)
            for (int64_t p = 0; p < phases; ++p)
              copy_columns(strip_weights + ((dy * kernel + dx) * phases + p) * V,
                           w + (((dy * kernel + dx) * phases + p) * z.h + i - dy + radius) * z.w,
                           j - dx + radius, V, z.w);
        for (int64_t q = 0; q < channels;) {
          const int64_t count = channels - q >= 8 ? 8 : 1;
          const Ring<A> block_ring{ring.data + q * ring.channel, kernel, ring.row, ring.channel,
                                   ring.phase};
          A* to = out + (first + q) * plane + i * z.w + j;
          if (count == 8)
            gather<A, 8>(block_ring, i + radius, j, strip_weights, taps, phases, to, plane,
                         columns);
          else
            gather<A, 1>(block_ring, i + radius, j, strip_weights, taps, phases, to, plane,
                         columns);
          q += count;
        }
      }
    }
  }
}
