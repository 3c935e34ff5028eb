// What the compiled operators compute with: plain functions over pointers, one set per
// instruction set, chosen when the library is loaded. This header and the kernels know nothing
// of PyTorch: code compiled for a newer processor must not bring inline functions that the linker
// could give to everyone.
#pragma once
#include <cstdint>

namespace mmups {

enum class Storage { f64, f32, bf16, f16 };

// A map (N, C, H, W) that is written: any of its strides.
struct Output {
  void* data;
  Storage storage;
  int64_t n, c, h, w;  // strides in elements
};

// A map (N, C, H, W) that is read where it lies: channels or columns are neighbours in memory.
template <class A>
struct Input {
  const A* data;
  int64_t n, c, h, w;  // strides in elements
};

// Sizes of maps and windows; h and w are the coarse ones, c the channels of all groups.
struct Sizes {
  int64_t n, c, h, w, groups, scale, kernel, points;
};

// A is what sums are made in: float or double. Pointers are to contiguous inputs, those called
// `rows` as (N, h, w, C). Each function does the units `begin` to `end` of its operator, and no two units
// write to the same place: results do not depend on the number of threads.
template <class A>
struct Kernels {
  // Unit: a coarse row of an image.
  void (*reassemble)(const A* x, const A* weights, const Output& out, const Sizes& sizes,
                     int64_t begin, int64_t end, A* scratch);
  int64_t (*reassemble_scratch)(const Sizes& sizes);
  // Unit: a coarse row of an image.
  void (*query_key)(const A* query, const A* key, A* logits, const Sizes& sizes, int64_t begin,
                    int64_t end, A* scratch);
  int64_t (*query_key_scratch)(const Sizes& sizes);
  // Unit: up to 16 channels of a group of an image.
  void (*reassemble_adjoint)(const A* fine, const A* weights, A* out, const Sizes& sizes,
                             int64_t begin, int64_t end, A* scratch);
  int64_t (*reassemble_adjoint_units)(const Sizes& sizes);
  int64_t (*reassemble_adjoint_scratch)(const Sizes& sizes);
  // Unit: a fine row of an image.
  void (*sample)(const A* rows, const A* offset, const Output& out, const Sizes& sizes,
                 int64_t begin, int64_t end, A* scratch);
  // Unit: a group of an image. `grad_rows` starts at zero.
  void (*sample_backward)(const Input<A>& grad, const A* rows, const A* offset, A* grad_rows,
                          A* grad_offset, const Sizes& sizes, int64_t begin, int64_t end,
                          A* scratch);
  // Unit: a fine row of an image.
  void (*deform_query_key)(const Input<A>& query, const A* rows, const A* offset, A* logits,
                           const Sizes& sizes, int64_t begin, int64_t end, A* scratch);
  void (*deform_attend)(const A* attention, const A* rows, const A* offset, const Output& out,
                        const Sizes& sizes, int64_t begin, int64_t end, A* scratch);
  // Unit: a group of an image. `grad_rows` starts at zero.
  void (*deform_adjoint)(const Input<A>& fine, const A* weights, const A* offset, const A* rows,
                         A* grad_rows, A* grad_offset, const Sizes& sizes, int64_t begin,
                         int64_t end, A* scratch);
  int64_t (*points_scratch)(const Sizes& sizes);
  // Unit: a channel of an image.
  void (*depthwise_transposed)(const A* x, const A* weight, const A* bias, const Output& out,
                               const Sizes& sizes, int64_t begin, int64_t end, A* scratch);
  int64_t (*depthwise_transposed_scratch)(const Sizes& sizes);
};

// Clang has other words for what the sets beyond the portable one are compiled with.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MMUPS_X86_SETS 1
#else
#define MMUPS_X86_SETS 0
#endif
extern const Kernels<float> portable_float;
extern const Kernels<double> portable_double;
#if MMUPS_X86_SETS
extern const Kernels<float> avx2_float, avx512_float;
extern const Kernels<double> avx2_double, avx512_double;
#endif

}  // namespace mmups
