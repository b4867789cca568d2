// clang-format off: the vocabulary comes before the kernel written in it
#include "dots_neon.h"
#include "codes_matrix.h"
// clang-format on

namespace crispcast {
extern const CodeKernels kNeonI8mmCodes;
const CodeKernels kNeonI8mmCodes = matrix::kKernels;
}  // namespace crispcast
