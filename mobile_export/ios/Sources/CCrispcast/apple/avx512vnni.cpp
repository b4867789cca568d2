// See neondot.cpp.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#pragma clang attribute push(                                                          \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#include "kernels_avx512vnni.cpp"
#pragma clang attribute pop
#endif
