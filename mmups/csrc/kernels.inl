// One set of kernels; the including file names the set and the bytes of a vector.
namespace mmups {
namespace {
#include "vector.inl"
#include "windows.inl"
#include "points.inl"
#include "depthwise.inl"

template <class A>
constexpr Kernels<A> make_kernels() {
  return {reassemble<A>,
          reassemble_scratch<A>,
          query_key<A>,
          query_key_scratch<A>,
          reassemble_adjoint<A>,
          reassemble_adjoint_units,
          reassemble_adjoint_scratch<A>,
          sample<A>,
          sample_backward<A>,
          deform_query_key<A>,
          deform_attend<A>,
          deform_adjoint<A>,
          points_scratch<A>,
          depthwise_transposed<A>,
          depthwise_transposed_scratch<A>};
}
}  // namespace
}  // namespace mmups
