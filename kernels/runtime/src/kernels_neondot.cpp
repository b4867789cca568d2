// clang-format off: the vocabularies come before the kernels written in them
#include "simd_neon.h"
#include "kernels_body.h"
#include "dots_neon.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kNeonDotKernels;
const RowKernels kNeonDotKernels = kernels_called("neondot", convolve, &codes::kKernels);
}  // namespace crispcast
