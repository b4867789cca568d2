// clang-format off: the vocabularies come before the kernels written in them
#include "simd_neon.h"
#include "kernels_body.h"
#include "dots_neon.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kNeonI8mmKernels;
const RowKernels kNeonI8mmKernels = kernels_called("neoni8mm", convolve, &codes::kKernels);
}  // namespace crispcast
