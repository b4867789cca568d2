// Sums of products of codes, WebAssembly: in pairs of 16 bits, which all browsers can multiply, or,
// where CRISPCAST_WASM_DOT says so, four bytes at a time by relaxed SIMD.
#pragma once

#include <wasm_simd128.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

// A register of weights, or of codes, for each of the two products that a sum is increased by.
struct Twice {
    v128_t first, second;
};

// What both ways share: 8 columns, for V8 has 15 registers on x86, and the sums of four channels
// take 8 then.
struct WasmDots {
    static constexpr int kParts = 2;
    static constexpr int kMostChannels = 4;
    static constexpr bool kSaturates = false;
    typedef v128_t Bytes;
    typedef Twice Woven;
    typedef Twice Four;
    typedef int16_t Packed;
    typedef const Packed* Weights;
    typedef int32_t Whole __attribute__((vector_size(16)));
    typedef float Float __attribute__((vector_size(16)));

    static Whole splat(int32_t x) { return Whole{x, x, x, x}; }
    static Float splat(float x) { return Float{x, x, x, x}; }
    static int next(int x) { return x + 8; }
    template <int kChannels>
    static Weights weights(const Packed* p) {
        return p;
    }
    static Four splat_four(Weights p, int channel) {
        return {wasm_v128_load32_splat(p + 4 * channel),
                wasm_v128_load32_splat(p + 4 * channel + 2)};
    }
    // Parts are in order of columns.
    static Float load_floats(const float* p, int j) { return Float(wasm_v128_load(p + 4 * j)); }
    static void store_floats(float* p, int j, Float v) { wasm_v128_store(p + 4 * j, v128_t(v)); }
    static void store_in_order(float* p, const Float (&in)[2]) {
        store_floats(p, 0, in[0]);
        store_floats(p, 1, in[1]);
    }
    static Float to_float(Whole x) { return Float(wasm_f32x4_convert_i32x4(v128_t(x))); }
    // Adding 1.5 * 2^23 leaves whole numbers in the lowest bits, halves to even.
    static Whole nearest(Float x) { return Whole(x + splat(12582912.0f)) - splat(0x4b400000); }
    // The second where the first is no number.
    static Float greater(Float a, Float b) { return Float(wasm_f32x4_pmax(v128_t(b), v128_t(a))); }
    static Float smaller(Float a, Float b) { return Float(wasm_f32x4_pmin(v128_t(b), v128_t(a))); }

  protected:
    static v128_t low(v128_t a, v128_t b) {
        return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    }
    static v128_t high(v128_t a, v128_t b) {
        return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    static void widen_codes(const uint8_t* p, uint8_t flip, Whole (&out)[2]) {
        const v128_t words = wasm_v128_xor(wasm_u16x8_load8x8(p), wasm_i16x8_splat(flip));
        out[0] = Whole(wasm_u32x4_extend_low_u16x8(words));
        out[1] = Whole(wasm_u32x4_extend_high_u16x8(words));
    }
    static void store_codes(uint8_t* p, uint8_t flip, const Whole (&in)[2]) {
        const v128_t words = wasm_u16x8_narrow_i32x4(v128_t(in[0]), v128_t(in[1]));
        const v128_t bytes = wasm_u8x16_narrow_i16x8(words, words);
        wasm_v128_store64_lane(p, wasm_v128_xor(bytes, wasm_u8x16_splat(flip)), 0);
    }
};

#if !defined(CRISPCAST_WASM_DOT)

struct Dots : WasmDots {
    static constexpr uint8_t kFlip = 0;
    typedef Dots Narrow;

    static Bytes load(const uint8_t* p) { return wasm_u16x8_load8x8(p); }
    static const Packed* pack(const CodeRow& row) {
        Packed* packed = reinterpret_cast<Packed*>(row.scratch);
        for (size_t i = 0; i < row.weight_count; ++i) packed[i] = row.weights[i];
        return packed;
    }
    static Whole start(const CodeRow& row, int channel) {
        return splat(-row.zero * row.weight_sums[channel]);
    }
    static Whole dot(Whole sum, const Woven& codes, const Four& weights) {
        sum += Whole(wasm_i32x4_dot_i16x8(codes.first, weights.first));
        return sum + Whole(wasm_i32x4_dot_i16x8(codes.second, weights.second));
    }
    static void weave(const Bytes (&in)[4], Woven (&out)[2]) {
        out[0] = {low(in[0], in[1]), low(in[2], in[3])};
        out[1] = {high(in[0], in[1]), high(in[2], in[3])};
    }
    static void widen(const uint8_t* p, Whole (&out)[2]) { widen_codes(p, kFlip, out); }
    static void store(uint8_t* p, const Whole (&in)[2]) { store_codes(p, kFlip, in); }
};

#else

// The instruction is exact only for weights from 0 to 127, so those below 0 are taken apart: their
// magnitudes are multiplied with the codes' complements, -1 - code.
struct Dots : WasmDots {
    static constexpr uint8_t kFlip = 0x80;
    typedef Dots Narrow;

    static Bytes load(const uint8_t* p) { return wasm_v128_load64_zero(p); }
    // Of each four, the bytes above 0, then those below.
    static const Packed* pack(const CodeRow& row) {
        for (size_t i = 0; i < row.weight_count; ++i) {
            const int weight = row.weights[i];
            uint8_t* four = row.scratch + i / 4 * 8 + i % 4;
            four[0] = uint8_t(weight > 0 ? weight : 0);
            four[4] = uint8_t(weight < 0 ? -weight : 0);
        }
        return reinterpret_cast<const Packed*>(row.scratch);
    }
    static Whole start(const CodeRow& row, int channel) {
        return splat((128 - row.zero) * row.weight_sums[channel] - row.negative_sums[channel]);
    }
    static Whole dot(Whole sum, const Woven& codes, const Four& weights) {
        const v128_t above =
            wasm_i32x4_relaxed_dot_i8x16_i7x16_add(codes.first, weights.first, v128_t(sum));
        return Whole(wasm_i32x4_relaxed_dot_i8x16_i7x16_add(codes.second, weights.second, above));
    }
    static void weave(const Bytes (&in)[4], Woven (&out)[2]) {
        const v128_t first = bytes(in[0], in[1]), second = bytes(in[2], in[3]);
        const v128_t left = low(first, second), right = high(first, second);
        out[0] = {left, wasm_v128_not(left)};
        out[1] = {right, wasm_v128_not(right)};
    }
    static void widen(const uint8_t* p, Whole (&out)[2]) { widen_codes(p, kFlip, out); }
    static void store(uint8_t* p, const Whole (&in)[2]) { store_codes(p, kFlip, in); }

  private:
    static v128_t bytes(v128_t a, v128_t b) {
        return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    }
};

#endif

}  // namespace
}  // namespace crispcast
