// clang-format off: the vocabulary comes before the kernel written in it
#include "dots_neon.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const CodeKernels kNeonDotCodes;
const CodeKernels kNeonDotCodes = codes::kKernels;
}  // namespace crispcast
