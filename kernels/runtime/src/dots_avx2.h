// Sums of four products of bytes, AVX-VNNI: 256 bits, for processors without AVX-512.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

// Sixteen registers: of a vector only the lower half of each lane is multiplied, columns 0 ... 7
// and 16 ... 23, for then the sums of six channels take twelve. A vector eight columns further has
// the rest.
struct Dots {
    static constexpr int kParts = 2;
    static constexpr int kMostChannels = 6;
    static constexpr bool kSaturates = true;
    static constexpr uint8_t kFlip = 0;
    typedef Dots Narrow;
    typedef __m256i Bytes;
    typedef __m256i Woven;
    typedef int8_t Packed;
    typedef const int8_t* Weights;
    typedef __m256i Four;
    typedef int32_t Whole __attribute__((vector_size(32)));
    typedef __m256 Float;

    static Bytes load(const uint8_t* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static Whole splat(int32_t x) { return Whole(_mm256_set1_epi32(x)); }
    static Float splat(float x) { return _mm256_set1_ps(x); }
    static const Packed* pack(const CodeRow& row) { return row.weights; }
    static int next(int x) { return x % 32 == 0 ? x + 8 : x + 24; }
    template <int kChannels>
    static Weights weights(const int8_t* p) {
        return p;
    }
    static Four splat_four(Weights p, int channel) {
        int32_t four;
        memcpy(&four, p + 4 * channel, 4);
        return _mm256_set1_epi32(four);
    }
    static Whole start(const CodeRow& row, int channel) {
        return splat(-row.zero * row.weight_sums[channel]);
    }
    static Whole dot(Whole sum, Woven codes, Four weights) {
        return Whole(_mm256_dpbusd_avx_epi32(__m256i(sum), codes, weights));
    }
    static void weave(const Bytes (&in)[4], Woven (&out)[2]) {
        const Bytes first = _mm256_unpacklo_epi8(in[0], in[1]);
        const Bytes second = _mm256_unpacklo_epi8(in[2], in[3]);
        out[0] = _mm256_unpacklo_epi16(first, second);
        out[1] = _mm256_unpackhi_epi16(first, second);
    }
    // The order of columns of `weave`.
    static void widen(const uint8_t* p, Whole (&out)[2]) {
        const Bytes zero = _mm256_setzero_si256();
        const Bytes wide = _mm256_unpacklo_epi8(load(p), zero);
        out[0] = Whole(_mm256_unpacklo_epi16(wide, zero));
        out[1] = Whole(_mm256_unpackhi_epi16(wide, zero));
    }
    // The codes of whole numbers, signed ones plus 128; what is beyond saturates.
    static void store_steps(uint8_t* p, const Whole (&in)[2], bool is_signed) {
        const Bytes words = _mm256_packs_epi32(__m256i(in[0]), __m256i(in[1]));
        Bytes codes = _mm256_packus_epi16(words, words);
        if (is_signed)
            codes = _mm256_xor_si256(_mm256_packs_epi16(words, words), _mm256_set1_epi8(-128));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(codes));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 16), _mm256_extracti128_si256(codes, 1));
    }
    // A part's lanes are columns 4 * j ... + 3 and 16 further.
    static Float load_floats(const float* p, int j) {
        return _mm256_loadu2_m128(p + 4 * j + 16, p + 4 * j);
    }
    static void store_floats(float* p, int j, Float v) {
        _mm256_storeu2_m128(p + 4 * j + 16, p + 4 * j, v);
    }
    static void store_in_order(float* p, const Float (&in)[2]) {
        store_floats(p, 0, in[0]);
        store_floats(p, 1, in[1]);
    }
    static Float to_float(Whole x) { return _mm256_cvtepi32_ps(__m256i(x)); }
    // What is no number or beyond 2^31 gives -2^31.
    static Whole nearest(Float x) { return Whole(_mm256_cvtps_epi32(x)); }
    static Float greater(Float a, Float b) { return _mm256_max_ps(a, b); }
    // The second where one is no number.
    static Float smaller(Float a, Float b) { return _mm256_min_ps(a, b); }
    // What is too large would be converted to the smallest whole number.
    static Float bounded(Float x, int high) { return smaller(splat(float(high)), x); }
};

}  // namespace
}  // namespace crispcast
