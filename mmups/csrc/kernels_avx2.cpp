// For processors with AVX2.
#include "kernels.h"
#if MMUPS_X86_SETS
#include <immintrin.h>  // _cvtss_sh
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define MMUPS_F16C 1
#define MMUPS_BYTES 32
#include "kernels.inl"

namespace mmups {
const Kernels<float> avx2_float = make_kernels<float>();
const Kernels<double> avx2_double = make_kernels<double>();
}  // namespace mmups
#pragma GCC pop_options
#endif
