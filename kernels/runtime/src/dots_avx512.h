// Sums of four products of bytes, AVX-512 VNNI.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Dots {
    static constexpr int kParts = 4;
    // 24 sums + 4 vectors that are multiplied + the weights of 32 registers.
    static constexpr int kMostChannels = 6;
    static constexpr bool kSaturates = true;
    static constexpr uint8_t kFlip = 0;
    typedef Dots Narrow;
    typedef __m512i Bytes;
    typedef __m512i Woven;
    typedef int8_t Packed;
    typedef const int8_t* Weights;
    typedef __m512i Four;
    typedef int32_t Whole __attribute__((vector_size(64)));
    typedef __m512 Float;

    static Bytes load(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static Whole splat(int32_t x) { return Whole(_mm512_set1_epi32(x)); }
    static Float splat(float x) { return _mm512_set1_ps(x); }
    static const Packed* pack(const CodeRow& row) { return row.weights; }
    static int next(int x) { return x + 64; }
    template <int kChannels>
    static Weights weights(const int8_t* p) {
        return p;
    }
    static Four splat_four(Weights p, int channel) {
        int32_t four;
        memcpy(&four, p + 4 * channel, 4);
        return _mm512_set1_epi32(four);
    }
    static Whole start(const CodeRow& row, int channel) {
        return splat(-row.zero * row.weight_sums[channel]);
    }
    static Whole dot(Whole sum, Woven codes, Four weights) {
        return Whole(_mm512_dpbusd_epi32(__m512i(sum), codes, weights));
    }
    static void weave(const Bytes (&in)[4], Woven (&out)[4]) {
        const Bytes low = _mm512_unpacklo_epi8(in[0], in[1]);
        const Bytes high = _mm512_unpackhi_epi8(in[0], in[1]);
        const Bytes low2 = _mm512_unpacklo_epi8(in[2], in[3]);
        const Bytes high2 = _mm512_unpackhi_epi8(in[2], in[3]);
        out[0] = _mm512_unpacklo_epi16(low, low2);
        out[1] = _mm512_unpackhi_epi16(low, low2);
        out[2] = _mm512_unpacklo_epi16(high, high2);
        out[3] = _mm512_unpackhi_epi16(high, high2);
    }
    // The order of columns of `weave`.
    static void widen(const uint8_t* p, Whole (&out)[4]) {
        const Bytes zero = _mm512_setzero_si512(), in = load(p);
        const Bytes low = _mm512_unpacklo_epi8(in, zero), high = _mm512_unpackhi_epi8(in, zero);
        out[0] = Whole(_mm512_unpacklo_epi16(low, zero));
        out[1] = Whole(_mm512_unpackhi_epi16(low, zero));
        out[2] = Whole(_mm512_unpacklo_epi16(high, zero));
        out[3] = Whole(_mm512_unpackhi_epi16(high, zero));
    }
    // The codes of whole numbers, signed ones plus 128; what is beyond saturates.
    static void store_steps(uint8_t* p, const Whole (&in)[4], bool is_signed) {
        const Bytes low = _mm512_packs_epi32(__m512i(in[0]), __m512i(in[1]));
        const Bytes high = _mm512_packs_epi32(__m512i(in[2]), __m512i(in[3]));
        if (is_signed) {
            const Bytes codes = _mm512_packs_epi16(low, high);
            _mm512_storeu_si512(p, _mm512_xor_si512(codes, _mm512_set1_epi8(-128)));
        } else {
            _mm512_storeu_si512(p, _mm512_packus_epi16(low, high));
        }
    }
    // In order of columns: quarter q of part j holds columns 16 * q + 4 * j ... + 3.
    static void store_in_order(float* p, const Float (&in)[4]) {
        const Float a = _mm512_shuffle_f32x4(in[0], in[1], 0x44);
        const Float b = _mm512_shuffle_f32x4(in[2], in[3], 0x44);
        const Float c = _mm512_shuffle_f32x4(in[0], in[1], 0xee);
        const Float d = _mm512_shuffle_f32x4(in[2], in[3], 0xee);
        _mm512_storeu_ps(p, _mm512_shuffle_f32x4(a, b, 0x88));
        _mm512_storeu_ps(p + 16, _mm512_shuffle_f32x4(a, b, 0xdd));
        _mm512_storeu_ps(p + 32, _mm512_shuffle_f32x4(c, d, 0x88));
        _mm512_storeu_ps(p + 48, _mm512_shuffle_f32x4(c, d, 0xdd));
    }
    // Part j of a vector, in the order of columns of `weave`.
    static Float load_floats(const float* p, int j) { return _mm512_loadu_ps(p + 16 * j); }
    static void store_floats(float* p, int j, Float v) { _mm512_storeu_ps(p + 16 * j, v); }
    static Float to_float(Whole x) { return _mm512_cvtepi32_ps(__m512i(x)); }
    // What is no number or beyond 2^31 gives -2^31.
    static Whole nearest(Float x) { return Whole(_mm512_cvtps_epi32(x)); }
    static Float greater(Float a, Float b) { return _mm512_max_ps(a, b); }
    // The second where one is no number.
    static Float smaller(Float a, Float b) { return _mm512_min_ps(a, b); }
    // What is too large would be converted to the smallest whole number.
    static Float bounded(Float x, int high) { return smaller(splat(float(high)), x); }
};

}  // namespace
}  // namespace crispcast
