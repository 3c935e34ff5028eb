// torch.ops.mmups.*: the kernels behind tensors. Schemas and CPU implementations stand here; what
// compilers and autograd need to know is registered in Python (mmups/ops/backends/native.py).
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>
#include <torch/version.h>

#include <memory>
#include <tuple>

#include "kernels.h"

namespace mmups {
namespace {

using at::Tensor;

// The sets that this processor, and ATEN_CPU_CAPABILITY, allow.
std::string instruction_set() {
#if MMUPS_X86_SETS
  const auto capability = at::get_cpu_capability();
  if (capability.rfind("AVX512", 0) == 0) return "AVX512";
  if (capability.rfind("AVX2", 0) == 0) return "AVX2";
#endif
  return "portable";
}

template <class A>
const Kernels<A>& kernels();
template <>
const Kernels<float>& kernels<float>() {
#if MMUPS_X86_SETS
  static const std::string set = instruction_set();
  return set == "AVX512" ? avx512_float : set == "AVX2" ? avx2_float : portable_float;
#else
  return portable_float;
#endif
}
template <>
const Kernels<double>& kernels<double>() {
#if MMUPS_X86_SETS
  static const std::string set = instruction_set();
  return set == "AVX512" ? avx512_double : set == "AVX2" ? avx2_double : portable_double;
#else
  return portable_double;
#endif
}

at::ScalarType sum_type(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

Tensor planes(const Tensor& x, at::ScalarType type) { return x.to(type).contiguous(); }

// (N, C, h, w) with the memory of (N, h, w, C).
Tensor rows(const Tensor& x, at::ScalarType type) {
  return x.to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

// In the memory format that it comes in.
Tensor planes_or_rows(const Tensor& x, at::ScalarType type) {
  return x.to(type).contiguous(x.suggest_memory_format());
}

template <class A>
Input<A> input_of(const Tensor& x) {
  return {x.data_ptr<A>(), x.stride(0), x.stride(1), x.stride(2), x.stride(3)};
}

Tensor new_output(const Tensor& like, int64_t n, int64_t c, int64_t h, int64_t w) {
  return at::empty({n, c, h, w}, like.options(), like.suggest_memory_format());
}

Output output_of(const Tensor& out) {
  Storage storage;
  switch (out.scalar_type()) {
    case at::kDouble: storage = Storage::f64; break;
    case at::kFloat: storage = Storage::f32; break;
    case at::kBFloat16: storage = Storage::bf16; break;
    case at::kHalf: storage = Storage::f16; break;
    default: TORCH_CHECK(false, "mmups computes in floating point, got ", out.scalar_type());
  }
  return {out.data_ptr(), storage, out.stride(0), out.stride(1), out.stride(2), out.stride(3)};
}

void check(bool fits, const char* name, const Tensor& a, const Tensor& b) {
  TORCH_CHECK_VALUE(fits, "mmups::", name, ": shapes ", a.sizes(), " and ", b.sizes(),
                    " do not belong together");
}

// Runs function(kernels, begin, end, scratch) over all units, in A = float or double.
template <class Function, class Size>
void for_units(at::ScalarType type, int64_t units, const Size& scratch_size,
               const Function& function) {
  const auto run = [&](auto zero) {
    using A = decltype(zero);
    const Kernels<A>& set = kernels<A>();
    const int64_t size = scratch_size(set);
    at::parallel_for(0, units, 1, [&](int64_t begin, int64_t end) {
      const std::unique_ptr<A[]> scratch(new A[size]);
      function(set, begin, end, scratch.get());
    });
  };
  if (type == at::kDouble)
    run(double());
  else
    run(float());
}

#define A_OF(set) std::remove_const_t<std::remove_reference_t<decltype(value_of(set))>>
template <class A>
A value_of(const Kernels<A>&);

Tensor reassemble(const Tensor& x, const Tensor& weights, int64_t kernel, int64_t groups,
                  int64_t scale) {
  const auto type = sum_type(x);
  const Sizes z{x.size(0), x.size(1), x.size(2), x.size(3), groups, scale, kernel, 0};
  check(weights.dim() == 4 && weights.size(0) == z.n &&
            weights.size(1) == groups * kernel * kernel * scale * scale &&
            weights.size(2) == z.h && weights.size(3) == z.w && z.c % groups == 0,
        "reassemble", x, weights);
  const Tensor maps = planes(x, type), w = planes(weights, type);
  const Tensor out = new_output(x, z.n, z.c, z.h * scale, z.w * scale);
  for_units(type, z.n * z.h, [&](auto& set) { return set.reassemble_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.reassemble(maps.data_ptr<A>(), w.data_ptr<A>(), output_of(out), z, begin, end,
                             scratch);
            });
  return out;
}

Tensor query_key(const Tensor& query, const Tensor& key, int64_t kernel, int64_t groups,
                 int64_t scale) {
  const auto type = sum_type(query);
  const Sizes z{key.size(0), key.size(1), key.size(2), key.size(3), groups, scale, kernel, 0};
  check(query.dim() == 4 && query.size(0) == z.n && query.size(1) == z.c &&
            query.size(2) == z.h * scale && query.size(3) == z.w * scale && z.c % groups == 0,
        "query_key", query, key);
  const Tensor queries = planes(query, type), keys = planes(key, type);
  const Tensor out = at::empty({z.n, groups * kernel * kernel * scale * scale, z.h, z.w},
                               query.options().dtype(type));
  for_units(type, z.n * z.h, [&](auto& set) { return set.query_key_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.query_key(queries.data_ptr<A>(), keys.data_ptr<A>(), out.data_ptr<A>(), z,
                            begin, end, scratch);
            });
  return out;
}

Tensor reassemble_adjoint(const Tensor& fine, const Tensor& weights, int64_t kernel,
                          int64_t groups, int64_t scale) {
  const auto type = sum_type(fine);
  const Sizes z{fine.size(0), fine.size(1), fine.size(2) / scale, fine.size(3) / scale, groups,
                scale, kernel, 0};
  check(weights.dim() == 4 && weights.size(0) == z.n &&
            weights.size(1) == groups * kernel * kernel * scale * scale &&
            weights.size(2) == z.h && weights.size(3) == z.w && fine.size(2) == z.h * scale &&
            fine.size(3) == z.w * scale && z.c % groups == 0,
        "reassemble_adjoint", fine, weights);
  const Tensor maps = planes(fine, type), w = planes(weights, type);
  const Tensor out = at::empty({z.n, z.c, z.h, z.w}, maps.options());
  const int64_t units = kernels<float>().reassemble_adjoint_units(z);
  for_units(type, units, [&](auto& set) { return set.reassemble_adjoint_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.reassemble_adjoint(maps.data_ptr<A>(), w.data_ptr<A>(), out.data_ptr<A>(), z,
                                     begin, end, scratch);
            });
  return out.to(fine.scalar_type());
}

Sizes sample_sizes(const Tensor& x, const Tensor& offset, int64_t scale, int64_t groups) {
  const Sizes z{x.size(0), x.size(1), x.size(2), x.size(3), groups, scale, 0, 0};
  check(offset.dim() == 4 && offset.size(0) == z.n &&
            offset.size(1) == 2 * groups * scale * scale && offset.size(2) == z.h &&
            offset.size(3) == z.w && z.c % groups == 0,
        "sample_dynamic", x, offset);
  return z;
}

Tensor sample_dynamic(const Tensor& x, const Tensor& offset, int64_t scale, int64_t groups) {
  const auto type = sum_type(x);
  const Sizes z = sample_sizes(x, offset, scale, groups);
  const Tensor maps = rows(x, type), offsets = planes(offset, type);
  const Tensor out = new_output(x, z.n, z.c, z.h * scale, z.w * scale);
  for_units(type, z.n * z.h * scale, [&](auto& set) { return set.points_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.sample(maps.data_ptr<A>(), offsets.data_ptr<A>(), output_of(out), z, begin, end,
                         scratch);
            });
  return out;
}

std::tuple<Tensor, Tensor> sample_dynamic_backward(const Tensor& grad, const Tensor& x,
                                                   const Tensor& offset, int64_t scale,
                                                   int64_t groups) {
  const auto type = sum_type(x);
  const Sizes z = sample_sizes(x, offset, scale, groups);
  const Tensor grads = planes_or_rows(grad, type), maps = rows(x, type);
  const Tensor offsets = planes(offset, type);
  const Tensor grad_x = at::zeros({z.n, z.h, z.w, z.c}, maps.options());
  const Tensor grad_offset = at::empty(offset.sizes(), offsets.options());
  for_units(type, z.n * groups, [&](auto& set) { return set.points_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.sample_backward(input_of<A>(grads), maps.data_ptr<A>(), offsets.data_ptr<A>(),
                                  grad_x.data_ptr<A>(), grad_offset.data_ptr<A>(), z, begin, end,
                                  scratch);
            });
  return {grad_x.permute({0, 3, 1, 2}).to(x.scalar_type(), false, false,
                                          x.suggest_memory_format()),
          grad_offset.to(offset.scalar_type())};
}

Sizes points_sizes(const Tensor& fine, const Tensor& coarse, const Tensor& offset, int64_t groups,
                   int64_t scale) {
  const int64_t points = offset.size(1) / (2 * groups);
  const Sizes z{coarse.size(0), coarse.size(1), coarse.size(2), coarse.size(3), groups, scale, 0,
                points};
  check(offset.dim() == 4 && offset.size(0) == z.n && offset.size(1) == 2 * groups * points &&
            offset.size(2) == z.h * scale && offset.size(3) == z.w * scale && z.c % groups == 0,
        "deform", coarse, offset);
  check(fine.size(0) == z.n && fine.size(-2) == z.h * scale && fine.size(-1) == z.w * scale,
        "deform", fine, offset);
  return z;
}

Tensor deform_query_key(const Tensor& query, const Tensor& key, const Tensor& offset,
                        int64_t groups, int64_t scale) {
  const auto type = sum_type(query);
  const Sizes z = points_sizes(query, key, offset, groups, scale);
  check(query.dim() == 4 && query.size(1) == z.c, "deform_query_key", query, key);
  const Tensor queries = planes_or_rows(query, type), keys = rows(key, type);
  const Tensor offsets = planes(offset, type);
  const Tensor out = at::empty({z.n, groups, z.points, z.h * scale, z.w * scale},
                               queries.options());
  for_units(type, z.n * z.h * scale, [&](auto& set) { return set.points_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.deform_query_key(input_of<A>(queries), keys.data_ptr<A>(),
                                   offsets.data_ptr<A>(), out.data_ptr<A>(), z, begin, end,
                                   scratch);
            });
  return out;
}

Tensor deform_attend(const Tensor& attention, const Tensor& value, const Tensor& offset,
                     int64_t scale) {
  const auto type = sum_type(value);
  const int64_t groups = attention.size(1);
  const Sizes z = points_sizes(attention, value, offset, groups, scale);
  check(attention.dim() == 5 && attention.size(2) == z.points, "deform_attend", attention,
        offset);
  const Tensor weights = planes(attention, type), values = rows(value, type);
  const Tensor offsets = planes(offset, type);
  const Tensor out = new_output(value, z.n, z.c, z.h * scale, z.w * scale);
  for_units(type, z.n * z.h * scale, [&](auto& set) { return set.points_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.deform_attend(weights.data_ptr<A>(), values.data_ptr<A>(),
                                offsets.data_ptr<A>(), output_of(out), z, begin, end, scratch);
            });
  return out;
}

std::tuple<Tensor, Tensor> deform_adjoint(const Tensor& fine, const Tensor& weights,
                                          const Tensor& offset, const Tensor& coarse,
                                          int64_t scale) {
  const auto type = sum_type(coarse);
  const int64_t groups = weights.size(1);
  const Sizes z = points_sizes(fine, coarse, offset, groups, scale);
  check(fine.dim() == 4 && fine.size(1) == z.c, "deform_adjoint", fine, coarse);
  check(weights.dim() == 5 && weights.size(2) == z.points, "deform_adjoint", weights, offset);
  const Tensor maps = planes_or_rows(fine, type), w = planes(weights, type);
  const Tensor values = rows(coarse, type), offsets = planes(offset, type);
  const Tensor grad_coarse = at::zeros({z.n, z.h, z.w, z.c}, values.options());
  const Tensor grad_offset = at::empty(offset.sizes(), offsets.options());
  for_units(type, z.n * groups, [&](auto& set) { return set.points_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.deform_adjoint(input_of<A>(maps), w.data_ptr<A>(), offsets.data_ptr<A>(),
                                 values.data_ptr<A>(), grad_coarse.data_ptr<A>(),
                                 grad_offset.data_ptr<A>(), z, begin, end, scratch);
            });
  return {grad_coarse.permute({0, 3, 1, 2}).to(coarse.scalar_type(), false, false,
                                               coarse.suggest_memory_format()),
          grad_offset.to(offset.scalar_type())};
}

Tensor depthwise_transposed(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            int64_t scale) {
  const auto type = sum_type(x);
  const Sizes z{x.size(0), x.size(1), x.size(2), x.size(3), x.size(1), scale, weight.size(-1), 0};
  check(weight.dim() == 4 && weight.size(0) == z.c && weight.size(1) == 1 &&
            weight.size(2) == z.kernel && z.kernel % 2 == 1 && bias.numel() == z.c,
        "depthwise_transposed", x, weight);
  const Tensor maps = planes(x, type), w = planes(weight, type), b = planes(bias, type);
  const Tensor out = new_output(x, z.n, z.c, z.h * scale, z.w * scale);
  for_units(type, z.n * z.c, [&](auto& set) { return set.depthwise_transposed_scratch(z); },
            [&](auto& set, int64_t begin, int64_t end, auto* scratch) {
              using A = A_OF(set);
              set.depthwise_transposed(maps.data_ptr<A>(), w.data_ptr<A>(), b.data_ptr<A>(),
                                       output_of(out), z, begin, end, scratch);
            });
  return out;
}

}  // namespace

TORCH_LIBRARY(mmups, m) {
  m.def("built_for() -> str", [] { return std::string(TORCH_VERSION); });
  m.def("instruction_set() -> str", instruction_set);
  m.def("reassemble(Tensor x, Tensor kernels, int kernel_size, int groups, int scale_factor)"
        " -> Tensor");
  m.def("query_key(Tensor query, Tensor key, int kernel_size, int groups, int scale_factor)"
        " -> Tensor");
  m.def("reassemble_adjoint(Tensor fine, Tensor kernels, int kernel_size, int groups,"
        " int scale_factor) -> Tensor");
  m.def("sample_dynamic(Tensor x, Tensor offset, int scale_factor, int groups) -> Tensor");
  m.def("sample_dynamic_backward(Tensor grad, Tensor x, Tensor offset, int scale_factor,"
        " int groups) -> (Tensor, Tensor)");
  m.def("deform_query_key(Tensor query, Tensor key, Tensor offset, int groups, int scale_factor)"
        " -> Tensor");
  m.def("deform_attend(Tensor attention, Tensor value, Tensor offset, int scale_factor)"
        " -> Tensor");
  m.def("deform_adjoint(Tensor fine, Tensor weights, Tensor offset, Tensor coarse,"
        " int scale_factor) -> (Tensor, Tensor)");
  m.def("depthwise_transposed(Tensor x, Tensor weight, Tensor bias, int scale_factor) -> Tensor");
}

TORCH_LIBRARY_IMPL(mmups, CPU, m) {
  m.impl("reassemble", reassemble);
  m.impl("query_key", query_key);
  m.impl("reassemble_adjoint", reassemble_adjoint);
  m.impl("sample_dynamic", sample_dynamic);
  m.impl("sample_dynamic_backward", sample_dynamic_backward);
  m.impl("deform_query_key", deform_query_key);
  m.impl("deform_attend", deform_attend);
  m.impl("deform_adjoint", deform_adjoint);
  m.impl("depthwise_transposed", depthwise_transposed);
}

}  // namespace mmups
