// See neondot.cpp.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#if !defined(__ARM_FEATURE_MATMUL_INT8)
#define __ARM_FEATURE_MATMUL_INT8 1  // what dots_neon.h asks for
#endif
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#include "kernels_neoni8mm.cpp"
#pragma clang attribute pop
#endif
