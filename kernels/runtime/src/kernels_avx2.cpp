// clang-format off: the vocabulary comes before the kernels written in it
#include "simd_avx2.h"
#include "kernels_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kAvx2Kernels;
const RowKernels kAvx2Kernels = kernels_called("avx2");
}  // namespace crispcast
