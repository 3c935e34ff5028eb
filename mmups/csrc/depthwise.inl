// Depthwise transposed convolution, phase by phase: fine pixel s*q + a is a convolution of the
// coarse row with every s-th tap. All phases of three strips of columns are summed at once.

// Fine index s*q + a takes coarse index q - t by tap s*t + a + radius, for t = first ... last.
struct PhaseTaps {
  int64_t first, count;
};
inline PhaseTaps phase_taps(const Sizes& z) {
  const int64_t radius = z.kernel / 2, s = z.scale;
  const int64_t first = -((radius + s - 1) / s);  // of the last phase, whose taps begin first
  return {first, radius / s - first + 1};         // up to the last of phase 0
}

constexpr int64_t strips = 3;

template <class A>
inline int64_t depthwise_width(const Sizes& z) {
  return z.w + phase_taps(z).count + strips * Lanes<A>::count;
}

template <class A>
inline int64_t depthwise_transposed_scratch(const Sizes& z) {
  const int64_t taps = phase_taps(z).count, phases = z.scale * z.scale;
  return (z.h + taps) * depthwise_width<A>(z) + taps * taps * phases +
         phases * strips * Lanes<A>::count;
}

template <class A, int Phases>
inline void convolve(const A* x, int64_t width, const A* weights, int64_t taps, int64_t phases,
                     A bias, A* tile) {
  constexpr int V = Lanes<A>::count;
  Vector<A> sums[Phases][strips];
  for (int p = 0; p < Phases; ++p)
    for (int k = 0; k < strips; ++k) sums[p][k] = broadcast(bias);
  for (int64_t y = 0; y < taps; ++y)
    for (int64_t t = 0; t < taps; ++t) {
      const A* row = x + y * width + t;
      const A* w = weights + (y * taps + t) * phases;
      Vector<A> values[strips];
      for (int k = 0; k < strips; ++k) values[k] = load(row + k * V);
      for (int p = 0; p < Phases; ++p) {
        const Vector<A> weight = broadcast(w[p]);
        for (int k = 0; k < strips; ++k) sums[p][k] += weight * values[k];
      }
    }
  for (int p = 0; p < Phases; ++p)
    for (int k = 0; k < strips; ++k) store(tile + (k * phases + p) * V, sums[p][k]);
}

template <class A, class T>
inline void depthwise_to(const A* x, const A* weight, const A* bias, T* out,
                         const Output& strides, const Sizes& z, int64_t begin, int64_t end,
                         A* scratch) {
  constexpr int V = Lanes<A>::count;
  const PhaseTaps taps = phase_taps(z);
  const int64_t s = z.scale, phases = s * s, radius = z.kernel / 2, width = depthwise_width<A>(z);
  const int64_t height = z.h + taps.count, last = taps.first + taps.count - 1;
  A* padded = scratch;  // coarse index 0 stands at `last`
  A* weights = padded + height * width;
  A* tile = weights + taps.count * taps.count * phases;
  for (int64_t k = 0; k < height * width; ++k) padded[k] = 0;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / z.c, channel = unit % z.c;
    for (int64_t i = 0; i < z.h; ++i)
      for (int64_t j = 0; j < z.w; ++j)
        padded[(i + last) * width + j + last] = x[(unit * z.h + i) * z.w + j];
    for (int64_t y = 0; y < taps.count; ++y)
      for (int64_t t = 0; t < taps.count; ++t)
        for (int64_t p = 0; p < phases; ++p) {
          // Position y of the padded rows is coarse index q - (last - y).
          const int64_t tap_y = s * (last - y) + p / s + radius;
          const int64_t tap_x = s * (last - t) + p % s + radius;
          const bool exists = tap_y >= 0 && tap_y < z.kernel && tap_x >= 0 && tap_x < z.kernel;
          weights[(y * taps.count + t) * phases + p] =
              exists ? weight[(channel * z.kernel + tap_y) * z.kernel + tap_x] : A(0);
        }
    for (int64_t i = 0; i < z.h; ++i)
      for (int64_t j = 0; j < z.w; j += strips * V) {
        const A* from = padded + i * width + j;
        int64_t p = 0;
        for (; p + 4 <= phases; p += 4)
          convolve<A, 4>(from, width, weights + p, taps.count, phases, bias[channel],
                         tile + p * V);
        for (; p < phases; ++p)
          convolve<A, 1>(from, width, weights + p, taps.count, phases, bias[channel],
                         tile + p * V);
        T* to = out + image * strides.n + channel * strides.c + i * s * strides.h;
        for (int64_t k = 0; k < strips && j + k * V < z.w; ++k)
          spread(tile + k * phases * V, to + (j + k * V) * s * strides.w, strides,
                 least(V, z.w - j - k * V), s);
      }
  }
}

template <class A>
inline void depthwise_transposed(const A* x, const A* weight, const A* bias, const Output& out,
                                 const Sizes& z, int64_t begin, int64_t end, A* scratch) {
  with_storage(out, A(), [&](auto* data) {
    depthwise_to(x, weight, bias, data, out, z, begin, end, scratch);
  });
}
