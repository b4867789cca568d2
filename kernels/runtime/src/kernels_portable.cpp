// clang-format off: the vocabulary comes before the kernels written in it
#include "simd_portable.h"
#include "kernels_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kPortableKernels;
const RowKernels kPortableKernels = kernels_called("portable");
}  // namespace crispcast
