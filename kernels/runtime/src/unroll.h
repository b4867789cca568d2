// Before a loop over a tile's sums, which must not remain a loop: its vectors are registers.
#pragma once

#if defined(__clang__)
#define CRISPCAST_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CRISPCAST_UNROLL _Pragma("GCC unroll 32")
#endif
