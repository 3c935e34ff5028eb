// For every processor of the architecture.
#include <c10/util/Half.h>

#include "kernels.h"
#define MMUPS_BYTES 16
#include "kernels.inl"

namespace mmups {
const Kernels<float> portable_float = make_kernels<float>();
const Kernels<double> portable_double = make_kernels<double>();
}  // namespace mmups
