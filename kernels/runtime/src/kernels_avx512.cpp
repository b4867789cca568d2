// clang-format off: the vocabulary comes before the kernels written in it
#include "simd_avx512.h"
#include "kernels_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kAvx512Kernels;
const RowKernels kAvx512Kernels = kernels_called("avx512");
}  // namespace crispcast
