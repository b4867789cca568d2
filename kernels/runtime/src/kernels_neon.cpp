// clang-format off: the vocabulary comes before the kernels written in it
#include "simd_neon.h"
#include "kernels_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kNeonKernels;
const RowKernels kNeonKernels = kernels_called("neon");
}  // namespace crispcast
