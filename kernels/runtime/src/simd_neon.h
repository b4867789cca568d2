// Four floats, AArch64 Advanced SIMD with fused multiply-add.
#pragma once

#include <arm_neon.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Simd {
    static constexpr int kWidth = 4;
    // 24 or 16 sums + 6 or 2 columns + weights of 32 registers.
    static constexpr int kTile1 = 8, kTile4 = 6, kTile8 = 2, kChannels8 = 8;
    typedef float32x4_t V;

    static V load(const float* p) { return vld1q_f32(p); }
    static void store(float* p, V v) { vst1q_f32(p, v); }
    static V splat(float x) { return vdupq_n_f32(x); }
    static V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
    static void settle(V&) {}  // see simd_avx2.h
    static V greater(V a, V b) { return vmaxnmq_f32(a, b); }
    static V smaller(V a, V b) { return vminnmq_f32(a, b); }
    static V load_u8(const uint8_t* p) {
        uint32_t word;
        __builtin_memcpy(&word, p, 4);
        const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(word)));
        return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
    }
};

}  // namespace
}  // namespace crispcast
