// Bilinear samples of a coarse map at moving points, for all channels of a group at once.
//
// A vector holds channels: coarse maps are `rows`, (N, h, w, C). Fine maps whose channels are
// neighbours are read and written where they lie; of contiguous ones a tile of neighbouring columns
// is turned once between rows and planes.
constexpr int64_t tile_columns = 16;

// The four pixels around a point, their weights, and how far the point is from the first.
template <class A>
struct Point {
  int64_t at[4];  // pixel index: upper left, upper right, lower left, lower right
  A weight[4];
  A x, y;
  bool moves_x, moves_y;  // false: beyond the border, where moving changes nothing
};

template <class A>
inline A clamp(A value, int64_t size, bool& inside) {
  const A last = A(size - 1);
  inside = value > 0 && value < last;
  return value >= last ? last : value > 0 ? value : A(0);  // what is no number becomes 0
}

// Coordinates in pixels from the centre of the first; beyond the border the border's value.
template <class A>
inline Point<A> clamped_point(A x, A y, const Sizes& z) {
  Point<A> point;
  x = clamp(x, z.w, point.moves_x);
  y = clamp(y, z.h, point.moves_y);
  const int64_t left = int64_t(x), top = int64_t(y);
  const int64_t right = least(left + 1, z.w - 1), below = least(top + 1, z.h - 1);
  point.x = x - A(left);
  point.y = y - A(top);
  point.at[0] = top * z.w + left;
  point.at[1] = top * z.w + right;
  point.at[2] = below * z.w + left;
  point.at[3] = below * z.w + right;
  point.weight[0] = (1 - point.x) * (1 - point.y);
  point.weight[1] = point.x * (1 - point.y);
  point.weight[2] = (1 - point.x) * point.y;
  point.weight[3] = point.x * point.y;
  return point;
}

// Beyond the border zero: such a pixel has weight 0, and `inside` leaves it out of derivatives.
template <class A>
struct OpenPoint {
  Point<A> point;
  A inside[4];
};
template <class A>
inline OpenPoint<A> open_point(A x, A y, const Sizes& z) {
  OpenPoint<A> open;
  Point<A>& point = open.point;
  // Farther out nothing changes, and integers end; what is no number stays none.
  x = x < -2 ? A(-2) : x > A(z.w + 1) ? A(z.w + 1) : x;
  y = y < -2 ? A(-2) : y > A(z.h + 1) ? A(z.h + 1) : y;
  const int64_t left = x == x ? int64_t(__builtin_floor(double(x))) : 0;
  const int64_t top = y == y ? int64_t(__builtin_floor(double(y))) : 0;
  point.x = x - A(left);
  point.y = y - A(top);
  point.moves_x = point.moves_y = true;
  const A weights[4] = {(1 - point.x) * (1 - point.y), point.x * (1 - point.y),
                        (1 - point.x) * point.y, point.x * point.y};
  for (int corner = 0; corner < 4; ++corner) {
    const int64_t column = left + corner % 2, row = top + corner / 2;
    const bool inside = column >= 0 && column < z.w && row >= 0 && row < z.h;
    point.at[corner] = inside ? row * z.w + column : 0;
    open.inside[corner] = A(inside);
    // An outside corner has no say, but a coordinate that is no number has.
    point.weight[corner] = inside || weights[corner] != weights[corner] ? weights[corner] : A(0);
  }
  return open;
}

template <class A>
inline void blend(const A* rows, int64_t stride, const Point<A>& point, A factor, int64_t count,
                  A* out, bool add) {
  constexpr int V = Lanes<A>::count;
  const A* p[4];
  A w[4];
  Vector<A> weights[4];
  for (int k = 0; k < 4; ++k) {
    p[k] = rows + point.at[k] * stride;
    w[k] = point.weight[k] * factor;
    weights[k] = broadcast(w[k]);
  }
  int64_t t = 0;
  for (; t + V <= count; t += V) {
    Vector<A> value = add ? load(out + t) : Vector<A>{};
    for (int k = 0; k < 4; ++k) value += weights[k] * load(p[k] + t);
    store(out + t, value);
  }
  for (; t < count; ++t)
    out[t] = (add ? out[t] : A(0)) + w[0] * p[0][t] + w[1] * p[1][t] + w[2] * p[2][t] +
             w[3] * p[3][t];
}

// Inner products of `fine` with each of the four pixels.
template <class A>
inline void corner_products(const A* rows, int64_t stride, const Point<A>& point, const A* fine,
                            int64_t count, A* products) {
  constexpr int V = Lanes<A>::count;
  const A* p[4];
  for (int k = 0; k < 4; ++k) p[k] = rows + point.at[k] * stride;
  Vector<A> sums[4] = {};
  int64_t t = 0;
  for (; t + V <= count; t += V) {
    const Vector<A> value = load(fine + t);
    for (int k = 0; k < 4; ++k) sums[k] += value * load(p[k] + t);
  }
  for (int k = 0; k < 4; ++k) products[k] = sum<A>(sums[k]);
  for (; t < count; ++t)
    for (int k = 0; k < 4; ++k) products[k] += fine[t] * p[k][t];
}

// Inner product of `fine` with the value at the point.
template <class A>
inline A point_product(const A* rows, int64_t stride, const Point<A>& point, const A* fine,
                       int64_t count) {
  constexpr int V = Lanes<A>::count;
  const A* p[4];
  Vector<A> weights[4];
  for (int k = 0; k < 4; ++k) {
    p[k] = rows + point.at[k] * stride;
    weights[k] = broadcast(point.weight[k]);
  }
  Vector<A> sums = {};
  int64_t t = 0;
  for (; t + V <= count; t += V) {
    Vector<A> value = weights[0] * load(p[0] + t);
    for (int k = 1; k < 4; ++k) value += weights[k] * load(p[k] + t);
    sums += load(fine + t) * value;
  }
  A total = count < V ? A(0) : sum<A>(sums);
  for (; t < count; ++t)
    for (int k = 0; k < 4; ++k) total += fine[t] * point.weight[k] * p[k][t];
  return total;
}

template <class A>
inline void add_to_corners(A* grad_rows, int64_t stride, const Point<A>& point, A factor,
                           const A* fine, int64_t count) {
  constexpr int V = Lanes<A>::count;
  for (int k = 0; k < 4; ++k) {
    A* to = grad_rows + point.at[k] * stride;
    const A w = point.weight[k] * factor;
    const Vector<A> weight = broadcast(w);
    int64_t t = 0;
    for (; t + V <= count; t += V) store(to + t, load(to + t) + weight * load(fine + t));
    for (; t < count; ++t) to[t] += w * fine[t];
  }
}

template <class A>
inline void derivatives(const Point<A>& point, const A* products, A& by_x, A& by_y) {
  by_x = point.moves_x ? (1 - point.y) * (products[1] - products[0]) +
                             point.y * (products[3] - products[2])
                       : A(0);
  by_y = point.moves_y ? (1 - point.x) * (products[2] - products[0]) +
                             point.x * (products[3] - products[1])
                       : A(0);
}

// A tile (columns, channels) to a map's row, and from a contiguous one.
template <class A, class T>
inline void write_tile(const A* tile, T* out, const Output& strides, int64_t columns,
                       int64_t channels) {
  if (strides.c == 1) {
    for (int64_t t = 0; t < columns; ++t)
      for (int64_t q = 0; q < channels; ++q) put(out + t * strides.w + q, tile[t * channels + q]);
    return;
  }
  for (int64_t q = 0; q < channels; ++q)
    for (int64_t t = 0; t < columns; ++t)
      put(out + q * strides.c + t * strides.w, tile[t * channels + q]);
}

// Columns of a fine map's row, each with its channels side by side.
template <class A>
struct Columns {
  const A* data;
  int64_t stride;
  const A* at(int64_t t) const { return data + t * stride; }
};
template <class A>
inline Columns<A> columns_of(const A* map, const Input<A>& strides, int64_t columns,
                             int64_t channels, A* tile) {
  if (strides.c == 1) return {map, strides.w};
  for (int64_t q = 0; q < channels; ++q)
    for (int64_t t = 0; t < columns; ++t)
      tile[t * channels + q] = map[q * strides.c + t * strides.w];
  return {tile, channels};
}
// Where they are written: in a map of sums itself, if its channels are neighbours.
template <class A, class T>
inline A* in_place(T* map, const Output& strides) {
  if constexpr (__is_same(A, T))
    return strides.c == 1 ? map : nullptr;
  else
    return nullptr;
}

template <class A>
inline int64_t points_scratch(const Sizes& z) {
  return tile_columns * z.c;
}

// Offsets of sample_dynamic, (N, 2, G, s, s, h, w), as the point of a fine pixel.
template <class A>
inline Point<A> dynamic_point(const A* offset, int64_t g, int64_t fine_row, int64_t fine_column,
                              const Sizes& z, int64_t* place) {
  const int64_t s = z.scale, i = fine_row / s, j = fine_column / s;
  const int64_t channel = (g * s + fine_row % s) * s + fine_column % s, plane = z.h * z.w;
  place[0] = channel * plane + i * z.w + j;
  place[1] = place[0] + z.groups * s * s * plane;
  return clamped_point(offset[place[0]] + A(j), offset[place[1]] + A(i), z);
}

template <class A, class T>
inline void sample_to(const A* rows, const A* offset, T* out, const Output& strides,
                      const Sizes& z, int64_t begin, int64_t end, A* scratch) {
  const int64_t height = z.h * z.scale, width = z.w * z.scale, plane = z.h * z.w;
  const int64_t depth = z.c / z.groups, offsets = 2 * z.groups * z.scale * z.scale * plane;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / height, row = unit % height;
    const A* map = rows + image * plane * z.c;
    T* to = out + image * strides.n + row * strides.h;
    for (int64_t column = 0; column < width; column += tile_columns)
      for (int64_t g = 0; g < z.groups; ++g) {
        const int64_t columns = least(tile_columns, width - column);
        T* const tile = to + g * depth * strides.c + column * strides.w;
        A* const direct = in_place<A>(tile, strides);
        for (int64_t t = 0; t < columns; ++t) {
          int64_t place[2];
          const auto point =
              dynamic_point(offset + image * offsets, g, row, column + t, z, place);
          blend(map + g * depth, z.c, point, A(1), depth,
                direct ? direct + t * strides.w : scratch + t * depth, false);
        }
        if (!direct) write_tile(scratch, tile, strides, columns, depth);
      }
  }
}

template <class A>
inline void sample(const A* rows, const A* offset, const Output& out, const Sizes& z,
                   int64_t begin, int64_t end, A* scratch) {
  with_storage(out, A(), [&](auto* data) {
    sample_to(rows, offset, data, out, z, begin, end, scratch);
  });
}

template <class A>
inline void sample_backward(const Input<A>& grad, const A* rows, const A* offset, A* grad_rows,
                            A* grad_offset, const Sizes& z, int64_t begin, int64_t end,
                            A* scratch) {
  const int64_t height = z.h * z.scale, width = z.w * z.scale, plane = z.h * z.w;
  const int64_t depth = z.c / z.groups, offsets = 2 * z.groups * z.scale * z.scale * plane;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / z.groups, g = unit % z.groups;
    const int64_t map = image * plane * z.c + g * depth;
    const A* from = grad.data + image * grad.n + g * depth * grad.c;
    for (int64_t row = 0; row < height; ++row)
      for (int64_t column = 0; column < width; column += tile_columns) {
        const int64_t columns = least(tile_columns, width - column);
        const auto fines = columns_of(from + row * grad.h + column * grad.w, grad, columns, depth,
                                      scratch);
        for (int64_t t = 0; t < columns; ++t) {
          int64_t place[2];
          const auto point =
              dynamic_point(offset + image * offsets, g, row, column + t, z, place);
          const A* fine = fines.at(t);
          A products[4], by_x, by_y;
          corner_products(rows + map, z.c, point, fine, depth, products);
          derivatives(point, products, by_x, by_y);
          grad_offset[image * offsets + place[0]] = by_x;
          grad_offset[image * offsets + place[1]] = by_y;
          add_to_corners(grad_rows + map, z.c, point, A(1), fine, depth);
        }
      }
  }
}

// Offsets of the deformable operators, (N, G, P, 2, s*h, s*w).
template <class A>
inline OpenPoint<A> deformed_point(const A* offset, int64_t point, int64_t row, int64_t column,
                                   const Sizes& z, int64_t* place) {
  const int64_t width = z.w * z.scale, plane = z.h * z.scale * width;
  place[0] = 2 * point * plane + row * width + column;
  place[1] = place[0] + plane;
  return open_point(offset[place[0]] + A(column / z.scale), offset[place[1]] + A(row / z.scale),
                    z);
}

template <class A>
inline void deform_query_key(const Input<A>& query, const A* rows, const A* offset, A* logits,
                             const Sizes& z, int64_t begin, int64_t end, A* scratch) {
  const int64_t height = z.h * z.scale, width = z.w * z.scale, fine = height * width;
  const int64_t depth = z.c / z.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / height, row = unit % height;
    for (int64_t column = 0; column < width; column += tile_columns) {
      const int64_t columns = least(tile_columns, width - column);
      const auto queries =
          columns_of(query.data + image * query.n + row * query.h + column * query.w, query,
                     columns, z.c, scratch);
      for (int64_t g = 0; g < z.groups; ++g)
        for (int64_t t = 0; t < columns; ++t)
          for (int64_t p = 0; p < z.points; ++p) {
            const int64_t index = (image * z.groups + g) * z.points + p;
            int64_t place[2];
            const auto open = deformed_point(offset, index, row, column + t, z, place);
            logits[index * fine + row * width + column + t] =
                point_product(rows + image * z.h * z.w * z.c + g * depth, z.c, open.point,
                              queries.at(t) + g * depth, depth);
          }
    }
  }
}

template <class A, class T>
inline void deform_attend_to(const A* attention, const A* rows, const A* offset, T* out,
                             const Output& strides, const Sizes& z, int64_t begin, int64_t end,
                             A* scratch) {
  const int64_t height = z.h * z.scale, width = z.w * z.scale, fine = height * width;
  const int64_t depth = z.c / z.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / height, row = unit % height;
    for (int64_t column = 0; column < width; column += tile_columns) {
      const int64_t columns = least(tile_columns, width - column);
      T* const tile = out + image * strides.n + row * strides.h + column * strides.w;
      A* const direct = in_place<A>(tile, strides);
      for (int64_t g = 0; g < z.groups; ++g)
        for (int64_t t = 0; t < columns; ++t) {
          A* const to = (direct ? direct + t * strides.w : scratch + t * z.c) + g * depth;
          for (int64_t p = 0; p < z.points; ++p) {
            const int64_t index = (image * z.groups + g) * z.points + p;
            int64_t place[2];
            const auto open = deformed_point(offset, index, row, column + t, z, place);
            blend(rows + image * z.h * z.w * z.c + g * depth, z.c, open.point,
                  attention[index * fine + row * width + column + t], depth, to, p > 0);
          }
        }
      if (!direct) write_tile(scratch, tile, strides, columns, z.c);
    }
  }
}

template <class A>
inline void deform_attend(const A* attention, const A* rows, const A* offset, const Output& out,
                          const Sizes& z, int64_t begin, int64_t end, A* scratch) {
  with_storage(out, A(), [&](auto* data) {
    deform_attend_to(attention, rows, offset, data, out, z, begin, end, scratch);
  });
}

template <class A>
inline void deform_adjoint(const Input<A>& fine_map, const A* weights, const A* offset, const A* rows,
                           A* grad_rows, A* grad_offset, const Sizes& z, int64_t begin,
                           int64_t end, A* scratch) {
  const int64_t height = z.h * z.scale, width = z.w * z.scale, fine = height * width;
  const int64_t depth = z.c / z.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / z.groups, g = unit % z.groups;
    const int64_t map = image * z.h * z.w * z.c + g * depth;
    const A* from = fine_map.data + image * fine_map.n + g * depth * fine_map.c;
    for (int64_t row = 0; row < height; ++row)
      for (int64_t column = 0; column < width; column += tile_columns) {
        const int64_t columns = least(tile_columns, width - column);
        const auto fines = columns_of(from + row * fine_map.h + column * fine_map.w, fine_map,
                                      columns, depth, scratch);
        for (int64_t t = 0; t < columns; ++t)
          for (int64_t p = 0; p < z.points; ++p) {
            const int64_t index = unit * z.points + p;
            int64_t place[2];
            const auto open = deformed_point(offset, index, row, column + t, z, place);
            const A weight = weights[index * fine + row * width + column + t];
            A products[4], by_x, by_y;
            corner_products(rows + map, z.c, open.point, fines.at(t), depth, products);
            for (int k = 0; k < 4; ++k) products[k] *= open.inside[k];
            derivatives(open.point, products, by_x, by_y);
            grad_offset[place[0]] = weight * by_x;
            grad_offset[place[1]] = weight * by_y;
            add_to_corners(grad_rows + map, z.c, open.point, weight, fines.at(t), depth);
          }
      }
  }
}
