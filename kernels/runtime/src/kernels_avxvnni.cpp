// clang-format off: the vocabularies come before the kernels written in them
#include "simd_avx2.h"
#include "kernels_body.h"
#include "dots_avx2.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kAvxVnniKernels;
const RowKernels kAvxVnniKernels = kernels_called("avxvnni", convolve, &codes::kKernels);
}  // namespace crispcast
