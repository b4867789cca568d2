// Eight floats, AVX2 with FMA.
#pragma once

#include <immintrin.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Simd {
    static constexpr int kWidth = 8;
    // 12 sums + 3 columns + 1 weight = 16 registers.
    static constexpr int kTile1 = 8, kTile4 = 3, kTile8 = 3, kChannels8 = 4;
    typedef __m256 V;

    static V load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
    static V splat(float x) { return _mm256_set1_ps(x); }
    static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
    // Has a sum made before anything that follows: else the compiler fetches all weights of a tap
    // first, and spills a sum, whose way through memory takes as long as twelve multiply-adds.
    static void settle(V& sum) { __asm__ volatile("" : "+x"(sum)); }
    static V greater(V a, V b) { return _mm256_max_ps(a, b); }
    static V smaller(V a, V b) { return _mm256_min_ps(a, b); }
    static V load_u8(const uint8_t* p) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    }
};

}  // namespace
}  // namespace crispcast
