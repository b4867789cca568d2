// The runtime's kernels for processors that multiply bytes four at a time (FEAT_DotProd). A Swift
// package gives all its files the same flags, so the instructions are switched on here, with the
// system's headers outside of it. cpu.cpp asks the processor before they run.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "kernels_neondot.cpp"
#pragma clang attribute pop
#endif
