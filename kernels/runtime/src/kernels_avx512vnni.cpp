// clang-format off: the vocabularies come before the kernels written in them
#include "simd_avx512.h"
#include "kernels_body.h"
#include "dots_avx512.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const RowKernels kAvx512VnniKernels;
const RowKernels kAvx512VnniKernels = kernels_called("avx512vnni", convolve, &codes::kKernels);
}  // namespace crispcast
