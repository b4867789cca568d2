// Sums of four products of bytes: SDOT (FEAT_DotProd), which takes the codes as signed. Where the
// products of matrices may be compiled (FEAT_I8MM), codes_matrix.h makes the sums, of unsigned
// codes.
#pragma once

#include <arm_neon.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

// The weights of up to eight channels.
struct TwiceWeights {
    int8x16_t first, second;
};

// 1.5 * 2^23, and its bits. Around it floats are whole numbers, and so are their bits.
constexpr float kWhole = 12582912.0f;
constexpr int32_t kWholeBits = 0x4b400000;

// 24 sums of six channels + 4 vectors that are multiplied + their weights of 32 registers.
struct Dots {
    static constexpr int kParts = 4;
    static constexpr int kMostChannels = 6;
    static constexpr bool kSaturates = true;
#if defined(__ARM_FEATURE_MATMUL_INT8)
    static constexpr uint8_t kFlip = 0;
#else
    static constexpr uint8_t kFlip = 0x80;
#endif
    typedef uint8x16_t Bytes;
    typedef uint8x16_t Woven;
    typedef int8_t Packed;
    typedef TwiceWeights Weights;
    typedef int8x16_t Four;
    typedef int32x4_t Whole;
    typedef float32x4_t Float;

    static Bytes load(const uint8_t* p) { return vld1q_u8(p); }
    static Whole splat(int32_t x) { return vdupq_n_s32(x); }
    static Float splat(float x) { return vdupq_n_f32(x); }
    static const Packed* pack(const CodeRow& row) { return row.weights; }
    static int next(int x) { return x + 16; }
    template <int kChannels>
    static Weights weights(const int8_t* p) {
        if constexpr (kChannels > 4)
            return {vld1q_s8(p), vcombine_s8(vld1_s8(p + 16), vdup_n_s8(0))};
        return {vld1q_s8(p), vdupq_n_s8(0)};
    }
    // The compiler makes them a lane of the instruction that multiplies.
    static Four splat_four(Weights weights, int channel) {
        const int32x4_t first = vreinterpretq_s32_s8(weights.first);
        const int32x4_t second = vreinterpretq_s32_s8(weights.second);
        switch (channel) {
            case 0:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(first, 0));
            case 1:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(first, 1));
            case 2:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(first, 2));
            case 3:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(first, 3));
            case 4:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(second, 0));
            default:
                return vreinterpretq_s8_s32(vdupq_laneq_s32(second, 1));
        }
    }
    static Whole start(const CodeRow& row, int channel) {
        return splat(Narrow::offset(row) + (kFlip - row.zero) * row.weight_sums[channel]);
    }
    static Whole dot(Whole sum, Woven codes, Four weights) {
        return vdotq_s32(sum, vreinterpretq_s8_u8(codes), weights);
    }
    static void weave(const Bytes (&in)[4], Woven (&out)[4]) {
        const uint16x8_t low = vreinterpretq_u16_u8(vzip1q_u8(in[0], in[1]));
        const uint16x8_t high = vreinterpretq_u16_u8(vzip2q_u8(in[0], in[1]));
        const uint16x8_t low2 = vreinterpretq_u16_u8(vzip1q_u8(in[2], in[3]));
        const uint16x8_t high2 = vreinterpretq_u16_u8(vzip2q_u8(in[2], in[3]));
        out[0] = vreinterpretq_u8_u16(vzip1q_u16(low, low2));
        out[1] = vreinterpretq_u8_u16(vzip2q_u16(low, low2));
        out[2] = vreinterpretq_u8_u16(vzip1q_u16(high, high2));
        out[3] = vreinterpretq_u8_u16(vzip2q_u16(high, high2));
    }
    static void widen(const uint8_t* p, Whole (&out)[2]) {
        const uint16x8_t wide = vmovl_u8(veor_u8(vld1_u8(p), vdup_n_u8(kFlip)));
        out[0] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
        out[1] = vreinterpretq_s32_u32(vmovl_high_u16(wide));
    }
    static void widen(const uint8_t* p, Whole (&out)[4]) {
        const Bytes in = veorq_u8(load(p), vdupq_n_u8(kFlip));
        const uint16x8_t low = vmovl_u8(vget_low_u8(in)), high = vmovl_high_u8(in);
        out[0] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low)));
        out[1] = vreinterpretq_s32_u32(vmovl_high_u16(low));
        out[2] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high)));
        out[3] = vreinterpretq_s32_u32(vmovl_high_u16(high));
    }
    // Every narrowing saturates, the conversion of `nearest` too: only what is no number is left to
    // clamp, of which the others make the lowest code, and a conversion would make 0.
    static void store_steps(uint8_t* p, const Whole (&in)[4], bool is_signed) {
        const int16x8_t low = vqmovn_high_s32(vqmovn_s32(in[0]), in[1]);
        const int16x8_t high = vqmovn_high_s32(vqmovn_s32(in[2]), in[3]);
        const Bytes codes = is_signed ? vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high))
                                      : vqmovun_high_s16(vqmovun_s16(low), high);
        vst1q_u8(p, veorq_u8(codes, vdupq_n_u8(is_signed ? kFlip ^ 0x80 : kFlip)));
    }
    static void store_steps(uint8_t* p, const Whole (&in)[2], bool is_signed) {
        const int16x8_t steps = vqmovn_high_s32(vqmovn_s32(in[0]), in[1]);
        const uint8x8_t codes =
            is_signed ? vreinterpret_u8_s8(vqmovn_s16(steps)) : vqmovun_s16(steps);
        vst1_u8(p, veor_u8(codes, vdup_n_u8(is_signed ? kFlip ^ 0x80 : kFlip)));
    }
    static Float bounded(Float x, int high) { return greater(x, splat(float(high - 255))); }
    // Parts are in order of columns.
    static Float load_floats(const float* p, int j) { return vld1q_f32(p + 4 * j); }
    static void store_floats(float* p, int j, Float v) { vst1q_f32(p + 4 * j, v); }
    template <int kCount>
    static void store_in_order(float* p, const Float (&in)[kCount]) {
        for (int j = 0; j < kCount; ++j) store_floats(p, j, in[j]);
    }
    static Float to_float(Whole x) { return vcvtq_f32_s32(x); }
    static Whole nearest(Float x) { return vcvtnq_s32_f32(x); }
    static Float greater(Float a, Float b) { return vmaxnmq_f32(a, b); }
    static Float smaller(Float a, Float b) { return vminnmq_f32(a, b); }

    // A conversion between floats and whole numbers fills two of the two pipes that can do it, an
    // addition one of four.
    struct Narrow {
        // What sums begin with: a narrow layer's are the bits of floats.
        static int32_t offset(const CodeRow& row) { return row.narrow ? kWholeBits : 0; }
        static Float to_float(Whole x) {
            return vsubq_f32(vreinterpretq_f32_s32(x), vdupq_n_f32(kWhole));
        }
        // The nearest code, halves to even, in the lower half; `zero`: kWhole and the code of 0.
        static Whole nearest(Float steps, Float zero) {
            return vreinterpretq_s32_f32(vaddq_f32(steps, zero));
        }
        static int16x8_t lower_halves(Whole a, Whole b) {
            return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
        }
        static void store_steps(uint8_t* p, const Whole (&in)[2]) {
            vst1_u8(p, veor_u8(vqmovun_s16(lower_halves(in[0], in[1])), vdup_n_u8(kFlip)));
        }
        static void store_steps(uint8_t* p, const Whole (&in)[4]) {
            const uint8x8_t low = vqmovun_s16(lower_halves(in[0], in[1]));
            const Bytes codes = vqmovun_high_s16(low, lower_halves(in[2], in[3]));
            vst1q_u8(p, kFlip == 0 ? codes : veorq_u8(codes, vdupq_n_u8(kFlip)));
        }
        static Float zero(int code) { return vdupq_n_f32(kWhole + float(code)); }
    };
};

}  // namespace
}  // namespace crispcast
