// clang-format off: the vocabulary comes before the kernels written in it
#include "simd_neon.h"
#include "kernels_body.h"
#include "finish_neon.h"
// clang-format on

namespace crispcast {

extern const RowKernels kNeonKernels, kNeonDotKernels, kNeonI8mmKernels;
// Floats are as good as any on them all.
const RowKernels kNeonKernels = kernels_called("neon", convolve, nullptr, neon::finish);
const RowKernels kNeonDotKernels =
    kernels_called("neondot", convolve, &kNeonDotCodes, neon::finish);
const RowKernels kNeonI8mmKernels =
    kernels_called("neoni8mm", convolve, &kNeonI8mmCodes, neon::finish);

}  // namespace crispcast
