// The kernel of codes of browsers with relaxed SIMD; the others of its table are in
// kernels_wasm.cpp.
#if defined(__wasm_relaxed_simd__)
#define CRISPCAST_WASM_DOT
// clang-format off: the vocabulary comes before the kernel written in it
#include "dots_wasm.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
extern const CodeKernels kWasmDotCodes;
const CodeKernels kWasmDotCodes = codes::kKernels;
}  // namespace crispcast
#endif
