// For processors with AVX512.
#include "kernels.h"
#if MMUPS_X86_SETS
#include <immintrin.h>  // _cvtss_sh
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#define MMUPS_F16C 1
#define MMUPS_BYTES 64
#include "kernels.inl"

namespace mmups {
const Kernels<float> avx512_float = make_kernels<float>();
const Kernels<double> avx512_double = make_kernels<double>();
}  // namespace mmups
#pragma GCC pop_options
#endif
