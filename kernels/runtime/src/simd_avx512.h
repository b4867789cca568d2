// Sixteen floats, AVX-512 F, BW, DQ, VL.
#pragma once

#include <immintrin.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Simd {
    static constexpr int kWidth = 16;
    // 24 sums + 6 or 3 columns + a weight of 32 registers.
    static constexpr int kTile1 = 8, kTile4 = 6, kTile8 = 3, kChannels8 = 8;
    typedef __m512 V;

    static V load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
    static V splat(float x) { return _mm512_set1_ps(x); }
    static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
    static void settle(V&) {}  // see simd_avx2.h
    static V greater(V a, V b) { return _mm512_max_ps(a, b); }
    static V smaller(V a, V b) { return _mm512_min_ps(a, b); }
    static V load_u8(const uint8_t* p) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    }
};

}  // namespace
}  // namespace crispcast
